//! Programs, compilers, files and tests.

use super::build;
use crate::workspace::assert_run;

#[test]
fn a_compiler_that_is_missing() {
    assert_run!(build("PATH=/nowhere\ncc -o out a.c", "", &[("a.c", "int x;\n")]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 127
     |
     = note: a compiler or a tool beside it is missing: `cc`
     = help: install one: `apt-get install build-essential`, `dnf group install development-tools`, or `xcode-select --install`

    app: last lines of "run the script"
      | /usr/bin/sh: 2: cc: not found
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'PATH=/nowhere
    cc -o out a.c'
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_program_that_is_missing() {
    assert_run!(build("hugo-of-nowhere --minify", "", &[]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 127
     |
     = note: there is no program `hugo-of-nowhere` where it looks for one
     = help: install it; if it is installed but not in a directory of the system, name it as a tool of the target, so that it is found (`tools` of the plugin `target-command`)

    app: last lines of "run the script"
      | /usr/bin/sh: 1: hugo-of-nowhere: not found
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'hugo-of-nowhere --minify'
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn git_that_is_missing() {
    let script = "python3 -c 'import subprocess; subprocess.run([\"git\"], env={\"PATH\": \"/nowhere\"})' 2>&1 | tail -n1\nexit 1";
    assert_run!(build(script, "", &[]), @r#"
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
     = note: git is not installed, or not found
     = help: install it: `apt-get install git`; and let the action use it where its kind lets you (`tools`)

    app: last lines of "run the script"
      | FileNotFoundError: [Errno 2] No such file or directory: 'git'
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc "python3 -c 'import subprocess; subprocess.run([\"git\"], env={\"PATH\": \"/nowhere\"})' 2>&1 | tail -n1
    exit 1"
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_repository_that_is_not_there() {
    assert_run!(build("git describe --tags > out", "", &[]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 128
     |
     = note: the command asks git, and data of version control is never an input
     = help: hand it what it asks for in another way: a file among `inputs`, or a variable of `environment`

    app: last lines of "run the script"
      | fatal: not a git repository (or any parent up to mount point /synth)
      | Stopping at filesystem boundary (GIT_DISCOVERY_ACROSS_FILESYSTEM not set).
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'git describe --tags > out'
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_script_that_is_not_executable() {
    assert_run!(build("./tool.sh", "", &[("tool.sh", "#!/bin/sh\n")]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 126
     |
     = note: `./tool.sh` may not be executed
     = help: `chmod +x` it, and in a repository of git `git update-index --chmod=+x` too

    app: last lines of "run the script"
      | /usr/bin/sh: 1: ./tool.sh: Permission denied
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc ./tool.sh
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_compile_error() {
    let source = "int main(void)\n{\n    return 0\n}\n";
    assert_run!(build("cc -o out a.c", "", &[("a.c", source)]), @r#"
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
     = note: the compiler refuses `a.c`, line 3
     = help: the first error of the log is the one to mend: others may only follow from it

    app: last lines of "run the script"
      | a.c: In function ‘main’:
      | a.c:3:13: error: expected ‘;’ before ‘}’ token
      |     3 |     return 0
      |       |             ^
      |       |             ;
      |     4 | }
      |       | ~            
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'cc -o out a.c'
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_header_that_is_missing() {
    let source = "#include <ledger.h>\n";
    assert_run!(build("cc -o out a.c", "", &[("a.c", source)]), @r#"
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
     = note: the header `ledger.h` is not there
     = help: one of your own has to be an input of the action; that of a library comes with its development package: `apt-file search ledger.h` tells which

    app: last lines of "run the script"
      | a.c:1:10: fatal error: ledger.h: No such file or directory
      |     1 | #include <ledger.h>
      |       |          ^~~~~~~~~~
      | compilation terminated.
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'cc -o out a.c'
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_library_that_is_missing() {
    let source = "int main(void) { return 0; }\n";
    assert_run!(build("cc -o out a.c -lledger", "", &[("a.c", source)]), @r#"
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
     = note: the library `ledger` is not there to be linked
     = help: install its development package, for Debian `libledger-dev` or of a similar name, or say where it is with `-L`

    app: last lines of "run the script"
      | /usr/bin/ld: cannot find -lledger: No such file or directory
      | collect2: error: ld returned 1 exit status
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'cc -o out a.c -lledger'
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn an_input_that_make_does_not_see() {
    let makefile = "out: prices.h\n\tcp prices.h out\n";
    let files = [("Makefile", makefile), ("prices.h", "")];
    assert_run!(build("make", "inputs = [\"Makefile\"]", &files), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 2
     |
     = note: make has neither the file `prices.h` nor a rule for it
     = help: if it is a file of yours, name it in `inputs`: the command sees no other

    app: last lines of "run the script"
      | make: *** No rule to make target 'prices.h', needed by 'out'.  Stop.
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc make
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_module_that_is_missing() {
    assert_run!(build("python3 -c 'import ledger'", "", &[]), @r#"
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
     = note: Python has no module `ledger` there
     = help: declare the package that has it, or make its file an input of the action

    app: last lines of "run the script"
      | Traceback (most recent call last):
      |   File "<string>", line 1, in <module>
      | ModuleNotFoundError: No module named 'ledger'
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc "python3 -c 'import ledger'"
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_source_that_is_not_understood() {
    assert_run!(build("python3 -B a.py", "", &[("a.py", "print('one'\n")]), @r#"
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
     = note: the source is not understood: '(' was never closed
     = help: the lines above tell file and line

    app: last lines of "run the script"
      |   File "/synth/root/project/src/a.py", line 1
      |     print('one'
      |          ^
      | SyntaxError: '(' was never closed
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'python3 -B a.py'
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn tests_that_fail() {
    let tests = "import unittest\n\n\nclass Price(unittest.TestCase):\n    def test_price(self):\n        self.assertEqual(5, 4)\n";
    let script = "python3 -B -m unittest --quiet test_price 2>&1 | tail -n1\nexit 1";
    assert_run!(build(script, "", &[("test_price.py", tests)]), @r#"
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
     = note: tests fail: failures=1
     = help: the log names each, with what it expected; no output is replaced while they fail

    app: last lines of "run the script"
      | FAILED (failures=1)
      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'python3 -B -m unittest --quiet test_price 2>&1 | tail -n1
    exit 1'
      log: .synth/logs/[BUILD]/app.run.log
    "#);
}

#[test]
fn a_program_that_crashes() {
    assert_run!(build("kill -SEGV $$", "", &[]), @"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     app     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start app: run the script
        failed app: run the script ([TIME])
    error[build.killed]: `run the script` was ended by signal 11
     |
     = note: the program itself crashed
     = help: run the command by itself to see whether it always does; a newer version may not

      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'kill -SEGV $$'
      log: .synth/logs/[BUILD]/app.run.log
    ");
}
