//! A pipeline under `rollback` with outputs of every sort, of which one target is released into a
//! directory and another by commands: what is there of which version.

use std::fs;
use std::process::Stdio;

use super::state;
use crate::plugin_fixtures::with_command;
use crate::workspace::Workspace;

/// `made` leaves its outputs among its sources, and others each second time. `up` comes after `site`, and
/// `last` after both.
const CONFIG: &str = r#"failure_strategy = "[STRATEGY]"

[targets.base]
type = "command"
source_path = "src"
script = "mkdir sub; cp version sub/out; chmod 750 sub/out; ln -s sub/out link; cp version of-$(cat version)"
outputs = ["sub/**", "link", "of-*"]
inputs = ["version"]
output_path = "dist/base"

[targets.made]
type = "command"
source_path = "made"
script = 'mkdir gen; cp version gen/copy; if grep -q "[13579]$" version; then mkdir gen/odd; cp version gen/odd/x; ln -s copy gen/link; else cp version gen/odd; fi'
outputs = ["gen/**"]
inputs = ["version"]

[targets.site]
type = "command"
source_path = "src"
script = "cp version out"
outputs = ["out"]
inputs = ["version"]
output_path = "dist/site"
publish = { directory = "../www", keep = 3 }

[targets.up]
type = "command"
source_path = "src"
needs = ["site"]
script = "cp version out; ! grep -q broken version"
outputs = ["out"]
inputs = ["version"]
output_path = "dist/up"
environment = { WORLD = "[WORLD]" }
publish_command = ["sh", "-eu", "publish.sh"]
undo_command = ["sh", "-eu", "undo.sh"]
check_command = ["sh", "-eu", "check.sh"]
"#;

const PUBLISH: &str = r#"
if [ -e "$WORLD/slow" ]; then touch "$WORLD/running"; while :; do sleep 0.05; done; fi
if [ -e "$WORLD/touch" ]; then touch "$(cat "$WORLD/touch")"; fi
if [ -e "$WORLD/fail" ]; then echo "409 Conflict" >&2; exit 3; fi
cp "$SYNTH_OUT/out" "$WORLD/new"
mv "$WORLD/new" "$WORLD/up-$SYNTH_DIGEST"
"#;

const UNDO: &str = r#"rm -f "$WORLD/up-$SYNTH_DIGEST""#;

const CHECK: &str = r#"test -e "$WORLD/up-$SYNTH_DIGEST""#;

/// Where outputs are.
pub(crate) const OUTPUTS: [&str; 2] = ["dist", "made/gen"];

pub(crate) fn configure(workspace: &Workspace, strategy: &str) {
    let world = workspace.beside("world");
    let config = CONFIG.replace("[STRATEGY]", strategy);
    let config = config.replace("[WORLD]", world.to_str().unwrap());
    workspace.write("synth.toml", config);
}

/// The project, built and published in a version `0`.
pub(crate) fn project() -> Workspace {
    let workspace = with_command(Workspace::new());
    configure(&workspace, "rollback");
    for (path, text) in [
        ("src/publish.sh", PUBLISH),
        ("src/undo.sh", UNDO),
        ("src/check.sh", CHECK),
    ] {
        workspace.write(path, text);
    }
    fs::create_dir(workspace.beside("world")).unwrap();
    edit(&workspace, "0");
    workspace.build(["--publish"]).succeeded();
    workspace
}

pub(crate) fn edit(workspace: &Workspace, version: &str) {
    workspace.write("src/version", version);
    workspace.write("made/version", version);
}

pub(crate) fn mark(workspace: &Workspace, name: &str, text: &str) {
    fs::write(workspace.beside("world").join(name), text).unwrap();
}

pub(crate) fn unmark(workspace: &Workspace, name: &str) {
    fs::remove_file(workspace.beside("world").join(name)).unwrap();
}

/// The version of which all outputs are. What they have in common with another one is not there.
pub(crate) fn version(workspace: &Workspace, context: &str) -> String {
    let read = |path: &str| fs::read_to_string(workspace.path(path)).unwrap_or_else(|_| "-".into());
    let version = read("dist/base/link");
    let all = [
        "dist/base/sub/out",
        "made/gen/copy",
        "dist/site/out",
        "dist/up/out",
    ]
    .map(read);
    assert!(
        all.iter().all(|one| *one == version),
        "{context}: {version} {all:?}"
    );
    if version == "-" {
        assert!(!workspace.path("dist").exists(), "{context}");
        assert!(!workspace.path("made/gen").exists(), "{context}");
        return version;
    }
    let odd = version.ends_with(['1', '3', '5', '7', '9']);
    let second = if odd {
        "made/gen/odd/x"
    } else {
        "made/gen/odd"
    };
    assert_eq!(read(second), version, "{context}");
    assert_eq!(
        workspace.path("made/gen/link").is_symlink(),
        odd,
        "{context}"
    );
    let named: Vec<String> = fs::read_dir(workspace.path("dist/base"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("of-"))
        .collect();
    assert_eq!(named, [format!("of-{version}")], "{context}");
    version
}

/// The version of the current release, and those that commands have published.
pub(crate) fn released(workspace: &Workspace) -> (String, Vec<String>) {
    let current = fs::read_to_string(workspace.beside("www/current/out"));
    let entries = fs::read_dir(workspace.beside("world")).unwrap().flatten();
    let up = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("up-"));
    let mut up: Vec<String> = up
        .map(|entry| fs::read_to_string(entry.path()).unwrap())
        .collect();
    up.sort();
    (current.unwrap_or_default(), up)
}

/// Everything about outputs.
pub(crate) fn outputs(workspace: &Workspace) -> Vec<String> {
    state(workspace, &OUTPUTS)
}

/// A build of this version whose publish was killed in the midst of its second effect.
pub(crate) fn crash(workspace: &Workspace, version: &str) {
    edit(workspace, version);
    mark(workspace, "slow", "");
    let mut command = workspace.command(["build", "--publish"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut build = command.spawn().unwrap();
    while !workspace.beside("world/running").exists() {
        assert!(build.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    build.kill().unwrap();
    build.wait().unwrap();
    unmark(workspace, "slow");
    unmark(workspace, "running");
}
