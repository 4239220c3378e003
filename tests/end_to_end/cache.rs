//! The store that all projects share: looked after, shared by builds at once, and when it can't be
//! written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use walkdir::WalkDir;

use crate::workspace::{Workspace, assert_run};

/// A site whose command writes a line to a file beside the project when it is executed, which no
/// sandbox would let it.
fn site(workspace: Workspace) -> Workspace {
    workspace.write(
        "synth.toml",
        "sandbox = \"off\"\n[targets.site]\ntype = \"static\"\nsource_path = \"web\"\n\
         build_command = \"sh build.sh\"\nbuild_output = \"out\"\n",
    );
    workspace
}

/// What the command does, in all projects that are to have the same results.
fn script(workspace: &Workspace, executions: &Workspace) {
    let beside = executions.beside("executions");
    workspace.write(
        "web/build.sh",
        format!(
            "mkdir -p out\necho x >> '{}'\n\
             echo '<!doctype html><html lang=en><title>One</title><p>Text</p></html>' > out/index.html\n",
            beside.display()
        ),
    );
}

fn executions(workspace: &Workspace) -> usize {
    let executions = fs::read_to_string(workspace.beside("executions"));
    executions.unwrap_or_default().lines().count()
}

fn built() -> Workspace {
    let workspace = site(Workspace::new());
    script(&workspace, &workspace);
    workspace.build([""; 0]).succeeded();
    workspace
}

/// The files of the store with a text in them.
fn blobs(workspace: &Workspace, text: &str) -> Vec<PathBuf> {
    let files = WalkDir::new(workspace.cache().join("synth/v1/cas")).into_iter();
    let files = files.map(|entry| entry.unwrap()).filter(|entry| {
        entry.file_type().is_file()
            && fs::read_to_string(entry.path()).is_ok_and(|found| found.contains(text))
    });
    files.map(|entry| entry.path().to_owned()).collect()
}

/// Changes a bit of each, as a failing disk does.
fn damage(blobs: &[PathBuf]) {
    assert!(!blobs.is_empty());
    for blob in blobs {
        let text = fs::read_to_string(blob).unwrap();
        fs::remove_file(blob).unwrap();
        fs::write(blob, text.replace("Text", "Tezt")).unwrap();
    }
}

#[test]
fn a_store_is_examined_and_cleared() {
    let workspace = built();
    assert_run!(workspace.synth(["cache", "stats"]), @"
    exit code: 0
    ----- stdout -----
    store      [WORKSPACE]/cache/synth
    blobs      2 ([SIZE])
    results    4 ([SIZE])
    last used  [TIME] to [TIME] ago
    ");
    assert_run!(workspace.synth(["cache", "verify"]), @"
    exit code: 0
    ----- stdout -----
    2 blobs ([SIZE]) and 4 results read: all blobs are what their names say
    ");
    damage(&blobs(&workspace, "<p>Text"));
    assert_run!(workspace.synth(["cache", "verify"]), @"
    exit code: 1
    ----- stdout -----
    damaged [SHA256]: moved to [WORKSPACE]/cache/synth/v1/quarantine/[SHA256]
    dropped 3 results: what they name is gone, or they can't be read
    2 blobs ([SIZE]) and 4 results read: one blob was damaged, and is made anew when it is needed
    ");
    assert_run!(workspace.synth(["cache", "verify"]), @"
    exit code: 0
    ----- stdout -----
    1 blob ([SIZE]) and 1 result read: all blobs are what their names say
    ");
    assert_run!(workspace.synth(["cache", "gc", "--max-age", "30d"]), @"
    exit code: 0
    ----- stdout -----
    removed 0 blobs ([SIZE]) and 0 results, 1 leftover ([SIZE])
    [SIZE] remains
    ");
    assert_run!(workspace.synth(["cache", "gc", "--max-size", "0", "--dry-run"]), @"
    exit code: 0
    ----- stdout -----
    would remove 1 blob ([SIZE]) and 1 result
    [SIZE] would remain
    ");
    assert_run!(workspace.synth(["cache", "gc", "--max-size", "0"]), @"
    exit code: 0
    ----- stdout -----
    removed 1 blob ([SIZE]) and 1 result
    [SIZE] remains
    ");
    assert_run!(workspace.synth(["cache", "gc"]), @"
    exit code: 2
    ----- stderr -----
    error: the following required arguments were not provided:
      <--max-size <SIZE>|--max-age <AGE>>

    Usage: synth cache gc <--max-size <SIZE>|--max-age <AGE>>

    For more information, try '--help'.
    ");
    assert_run!(workspace.synth(["cache", "gc", "--max-size", "5 bananas"]), @"
    exit code: 2
    ----- stderr -----
    error: invalid value '5 bananas' for '--max-size <SIZE>': `5 bananas` is no size: a number and a unit, like 5GB, 500MiB or 0

    For more information, try '--help'.
    ");
    assert_run!(workspace.synth(["cache", "gc", "--max-age", "5 bananas"]), @r#"
    exit code: 2
    ----- stderr -----
    error: invalid value '5 bananas' for '--max-age <AGE>': unknown time unit "bananas", supported units: ns, us/µs, ms, sec, min, hours, days, weeks, months, years (and few variations); an age is a number and a unit, like 30d or 12h

    For more information, try '--help'.
    "#);
    workspace.build([""; 0]).succeeded();
    assert_eq!(executions(&workspace), 1, "what is in place stays");
}

#[test]
fn a_damaged_blob_is_told_and_what_left_it_executed_again() {
    let workspace = built();
    let digest = workspace.digest("dist/site");
    fs::remove_dir_all(workspace.path("dist")).unwrap();
    damage(&blobs(&workspace, "Text"));
    assert_run!(workspace.synth(["build", "-j1"]), @"
    exit code: 0
    ----- stdout -----
     target  status  time  actions               artifacts
     site    built   [TIME]  1 executed, 3 cached  dist/site  [SIZE]  [DIGEST]

    1 of 1 targets succeeded in [TIME]
    ----- stderr -----
    the cache has lost something that is needed; it is made anew
         start site: build the site with sh build.sh
          done site: build the site with sh build.sh ([TIME])
    warning[store.damaged]: the blob [SHA256] was damaged in the store: it was moved to `[WORKSPACE]/cache/synth/v1/quarantine/[SHA256]`, and made anew
     |
     = help: the disk may be failing: `synth cache verify` looks for more
    ");
    assert_eq!(workspace.digest("dist/site"), digest);
    workspace.synth(["cache", "verify"]).succeeded();
}

#[test]
fn four_builds_at_once_execute_each_action_once() {
    let first = site(Workspace::new());
    script(&first, &first);
    let others: Vec<Workspace> = (0..3)
        .map(|_| {
            let other = site(Workspace::new()).sharing_cache_of(&first);
            script(&other, &first);
            other
        })
        .collect();
    let everywhere: Vec<&Workspace> = std::iter::once(&first).chain(&others).collect();
    for (round, workspaces) in [everywhere, vec![&first; 4]].into_iter().enumerate() {
        for workspace in &workspaces {
            // Another key than that of the last round.
            workspace.write("web/round.txt", round.to_string());
        }
        let before = executions(&first);
        let builds: Vec<_> = workspaces
            .iter()
            .map(|workspace| {
                let mut command = workspace.command(["build"]);
                command.stdout(Stdio::null()).stderr(Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        for build in builds {
            let output = build.wait_with_output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{told}");
        }
        assert_eq!(executions(&first) - before, 1);
        let digests = workspaces
            .iter()
            .map(|workspace| workspace.digest("dist/site"));
        let digests: Vec<_> = digests.collect();
        assert!(digests.iter().all(|digest| *digest == digests[0]));
    }
}

const READ_ONLY: &str = "mount --bind \"$XDG_CACHE_HOME\" \"$XDG_CACHE_HOME\"\n\
     mount -o remount,ro,bind \"$XDG_CACHE_HOME\"\nexec \"$@\"";

#[test]
fn a_store_that_cannot_be_written_serves_what_it_has() {
    // On a file system that is mounted read-only, and one that belongs to somebody else: without
    // privileges, files that are protected against writing are the same.
    for (namespaces, script) in [("-Urm", READ_ONLY), ("-U", "exec \"$@\"")] {
        let workspace = built();
        fs::remove_dir_all(workspace.path("dist")).unwrap();
        protect(&workspace, 0o555);
        workspace
            .synth_unshared(namespaces, script, ["build", "-q"])
            .succeeded();
        assert!(workspace.path("dist/site/index.html").is_file());
        workspace.append("web/build.sh", "# edited\n");
        let run = workspace.synth_unshared(namespaces, script, ["build", "-j1"]);
        if namespaces == "-U" {
            assert_run!(run, @"
            exit code: 4
            ----- stdout -----
             target  status  time  actions   artifacts
             site    failed  [TIME]  1 failed

            1 failed, 0 of 1 targets succeeded in [TIME]
            ----- stderr -----
                 start site: build the site with sh build.sh
                failed site: build the site with sh build.sh ([TIME])
            error[store.write]: the store `[WORKSPACE]/cache/synth` can't be written
             |
             = note: Permission denied (os error 13)
             = help: make it writable for this user, or choose another directory for the store with XDG_CACHE_HOME

              action: build (build)
            ");
        } else {
            assert_run!(run, @"
            exit code: 4
            ----- stdout -----
             target  status  time  actions   artifacts
             site    failed  [TIME]  1 failed

            1 failed, 0 of 1 targets succeeded in [TIME]
            ----- stderr -----
                 start site: build the site with sh build.sh
                failed site: build the site with sh build.sh ([TIME])
            error[store.write]: the store `[WORKSPACE]/cache/synth` can't be written
             |
             = note: Read-only file system (os error 30)
             = help: make it writable for this user, or choose another directory for the store with XDG_CACHE_HOME

              action: build (build)
            ");
        }
        // So that it can be removed.
        protect(&workspace, 0o755);
    }
}

/// Gives everything in the cache a mode.
fn protect(workspace: &Workspace, mode: u32) {
    for entry in WalkDir::new(workspace.cache()) {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(entry.unwrap().path(), permissions).unwrap();
    }
}

#[test]
fn a_store_on_a_full_disk_says_what_to_do() {
    let workspace = site(Workspace::new());
    script(&workspace, &workspace);
    fs::create_dir_all(workspace.cache()).unwrap();
    workspace.write("web/large.txt", "x".repeat(600_000));
    // Room for the directories, and not for what is built.
    let script = "mount -t tmpfs -o size=400k tmpfs \"$XDG_CACHE_HOME\"\nexec \"$@\"";
    assert_run!(workspace.synth_unshared("-Urm", script, ["build", "-j1"]), @"
    exit code: 4
    ----- stdout -----
     target  status  time  actions   artifacts
     site    failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start site: build the site with sh build.sh
        failed site: build the site with sh build.sh ([TIME])
    error[execute.prepare]: the directory of `build the site with sh build.sh` can't be made ready
     |
     = note: writing `[WORKSPACE]/cache/synth/v1/work/build-[RANDOM]/[NUMBER]/root/project/large.txt`
     = note: No space left on device (os error 28)
     = help: make room on the disk; `synth cache gc --max-age 30d` removes what was not used for long

      action: build (build)
    ");
    assert!(!workspace.path("dist").exists());
    workspace.build([""; 0]).succeeded();
}
