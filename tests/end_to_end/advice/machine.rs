//! Want of room, memory, time and rights.

use super::build;
use crate::workspace::assert_run;

/// Shows the last line alone of what Python says: those above are another version's.
fn python(code: &str) -> String {
    format!("python3 -B -c '{code}' 2>&1 | tail -n1\nexit 1")
}

#[test]
fn a_disk_that_is_full() {
    assert_run!(build("cat a.txt > /dev/full", "", &[]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 1
     |
     = note: there is no room left where it writes
     = help: `df -h` and `df -i` tell which file system is full, of bytes or of files
     = help: `synth cache gc --max-size 5GB` makes room in synth's own cache

    app: last lines of "run the script"
      | cat: write error: No space left on device
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'cat a.txt > /dev/full'
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_quota_that_is_used_up() {
    // The system's own message; there is no quota where the tests run.
    let code = "import errno, os; raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))";
    assert_run!(build(&python(code), "", &[]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 1
     |
     = note: the user's quota on the file system is used up
     = help: `quota -s` tells how much there is; `synth cache gc --max-size 5GB` makes room in synth's own cache, and `XDG_CACHE_HOME` moves it elsewhere

    app: last lines of "run the script"
      | OSError: [Errno 122] Disk quota exceeded
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc "python3 -B -c 'import errno, os; raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))' 2>&1 | tail -n1
    exit 1"
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_file_system_that_can_only_be_read() {
    assert_run!(build("touch /usr/ledger", "", &[]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 1
     |
     = note: the command writes where it may not
     = help: let it write below its source directory, and name what it leaves in `outputs`, or in `scratch` if nobody needs it

    app: last lines of "run the script"
      | touch: cannot touch '/usr/ledger': Read-only file system
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'touch /usr/ledger'
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_process_that_was_killed() {
    assert_run!(build("kill -KILL $$", "", &[]), @"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.killed]: `run the script` was ended by signal 9
     |
     = note: it was killed: most often by the system, for want of memory
     = help: have fewer things done at once (`synth build -j 1`), or say how much memory it needs, so that synth waits until there is as much
     = help: `dmesg | grep -i 'killed process'` tells whether the system did it

      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'kill -KILL $$'
      log: .synth/logs/[BUILD]/app.run.log
    ");
}

#[test]
fn more_memory_than_there_may_be() {
    let script = format!("ulimit -v 200000\n{}", python("bytes(10**9)"));
    assert_run!(build(&script, "", &[]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 1
     |
     = note: it wants more memory than it can have
     = help: have fewer things done at once (`synth build -j 1`), or give the machine, or its control group, more memory
     = help: `ulimit -v` tells of a limit of the shell that synth was started from

    app: last lines of "run the script"
      | MemoryError
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc "ulimit -v 200000
    python3 -B -c 'bytes(10**9)' 2>&1 | tail -n1
    exit 1"
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn more_files_than_may_be_open() {
    let code = "all = [open(\"a.txt\") for _ in range(20)]";
    let script = format!("ulimit -n 16\n{}", python(code));
    assert_run!(build(&script, "", &[]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 1
     |
     = note: it has more files open than it may
     = help: raise the limit before synth is started: `ulimit -n 65536`

    app: last lines of "run the script"
      | OSError: [Errno 24] Too many open files: 'a.txt'
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc "ulimit -n 16
    python3 -B -c 'all = [open(\"a.txt\") for _ in range(20)]' 2>&1 | tail -n1
    exit 1"
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_command_that_hangs() {
    assert_run!(build("tail -f a.txt", "timeout_seconds = 1", &[]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.timeout]: `run the script` was ended after [TIME]
     |
     = note: it was not done after [TIME], and was taken for one that hangs
     = help: the last lines of its log tell what it waited for; if it only needs longer, raise its time-out, as `timeout_seconds` of the plugin `target-command`

    app: last lines of "run the script"
      | one
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'tail -f a.txt'
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}
