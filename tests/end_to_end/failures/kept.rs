//! `--keep-temp`: the directory of an action that failed stays, with a command that runs it there.

use std::fs;

use super::assert_nothing_temporary;
use crate::plugin_fixtures::with_command;
use crate::workspace::{Report, Workspace, text};

/// A command with variables that are set, passed on and not there, and an argument with a space.
fn project() -> Workspace {
    let workspace = with_command(Workspace::new()).variable("TOKEN", "secret");
    workspace.write(
        "synth.toml",
        r#"[targets.app]
type = "command"
source_path = "src"
command = ["sh", "make.sh", "it's one"]
outputs = ["out"]
output_path = "dist/app"
environment = { MODE = "a b" }
pass_environment = ["TOKEN"]
"#,
    );
    workspace.write(
        "src/make.sh",
        "echo \"$1, $MODE, $TOKEN, ${LANG}, ${USER-nobody}\" | tee out\n\
         test -n \"$TMPDIR\" && echo temporary > \"$TMPDIR/file\"\nexit 3\n",
    );
    workspace
}

fn kept(report: &Report) -> &serde_json::Value {
    &report.target("app")["actions"][0]["kept"]
}

#[test]
fn an_action_that_fails_can_be_run_again_in_its_directory() {
    for mode in ["strict", "off"] {
        let workspace = project();
        let report = workspace.build(["--keep-temp", "--sandbox", mode]);
        assert_eq!(report.code, Some(1));
        let kept = kept(&report);
        assert_eq!(kept["directory"], ".synth/kept/app/run");
        let out = workspace.read(".synth/kept/app/run/root/project/src/out");
        assert_eq!(out, "it's one, a b, secret, C.UTF-8, nobody\n", "{mode}");
        assert_eq!(
            workspace.read(".synth/kept/app/run/tmp/file"),
            "temporary\n"
        );

        let rerun = text(&kept["rerun"]);
        assert!(!rerun.contains("secret"), "{rerun}");
        let script = format!("{rerun}; echo \"exit $?\"");
        let said = workspace.run("sh", ["-c", &script]);
        assert_eq!(said, format!("{out}exit 3\n"), "{mode}: {rerun}");

        let differences = kept["differences"].as_array().unwrap();
        let told: Vec<&str> = differences.iter().map(text).collect();
        let sandbox = told.iter().any(|line| line.contains("sandbox"));
        assert_eq!(sandbox, mode == "strict", "{told:?}");
        assert!(told.contains(&"your shell's own: `TOKEN`"), "{told:?}");
        assert_nothing_temporary(&workspace);

        // What failed then tells nothing when it does not fail any more.
        workspace.write("src/make.sh", "echo done > out\n");
        workspace
            .build(["--keep-temp", "--sandbox", mode])
            .succeeded();
        assert!(!workspace.path(".synth/kept/app").exists());
        assert_nothing_temporary(&workspace);
    }
}

#[test]
fn it_is_told_and_cleaned() {
    let workspace = project();
    let run = workspace.synth(["build", "--keep-temp"]);
    let told = run.to_string();
    assert!(told.contains("\n  kept: .synth/kept/app/run\n"), "{told}");
    assert!(told.contains("\n  again: cd '"), "{told}");
    assert!(told.contains("\n    your shell's own: `TOKEN`\n"), "{told}");
    workspace.synth(["clean"]).succeeded();
    assert!(!workspace.path(".synth/kept").exists());
}

#[test]
fn nothing_is_kept_unless_that_is_asked_for() {
    let workspace = project();
    let report = workspace.build([""; 0]);
    assert_eq!(report.code, Some(1));
    assert!(kept(&report).is_null());
    assert!(!workspace.path(".synth/kept").exists());
    assert_nothing_temporary(&workspace);
}

#[test]
fn a_step_among_others_can_be_run_again_too() {
    let workspace = Workspace::new();
    workspace.write(
        "synth.toml",
        "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\n\
         build_command = \"sh build.sh\"\nbuild_output = \"out\"\n",
    );
    workspace.write("web/build.sh", "echo left > left; echo said; exit 5\n");
    let report = workspace.build(["--keep-temp"]);
    assert_eq!(report.code, Some(1));
    let actions = report.target("site")["actions"].as_array().unwrap();
    let kept = actions
        .iter()
        .find_map(|action| action.get("kept"))
        .unwrap();
    let script = format!("{}; echo \"exit $?\"", text(&kept["rerun"]));
    let said = workspace.run("sh", ["-c", &script]);
    assert_eq!(said, "said\nexit 5\n", "{script}");
    let directory = workspace.path(text(&kept["directory"]));
    assert!(fs::read_dir(directory).unwrap().count() > 0);
}
