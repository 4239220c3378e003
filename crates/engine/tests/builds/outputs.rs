//! What is put in place, and what is never replaced.

use std::path::Path;
use std::sync::Arc;

use synth_engine::{BuildOptions, Registry, TargetStatus};

use crate::workspace::{Script, Workspace, pipeline, statuses};

#[test]
fn a_failed_build_leaves_the_earlier_outputs() {
    let config = |script: &str| pipeline("", &[&format!("a | | {script}")]);
    let workspace = Workspace::new(&config("echo 1 > out/a.txt"));
    workspace.build();
    workspace.write("project/synth.toml", &config("echo 2 > out/a.txt; exit 1"));
    assert!(!workspace.build().success);
    assert_eq!(workspace.read("dist/a/a.txt").as_deref(), Some("1\n"));
}

#[test]
fn what_synth_did_not_write_is_never_replaced() {
    let workspace = Workspace::new(&pipeline("", &["a | | echo a > out/a.txt"]));
    workspace.write("project/dist/a/precious.txt", "mine");
    let problems = workspace.try_build(BuildOptions::default()).unwrap_err();
    assert_eq!(problems[0].code, "output.not_ours");
    assert!(
        problems[0].message.contains("`precious.txt`"),
        "{}",
        problems[0].message
    );
    assert_eq!(
        workspace.read("dist/a/precious.txt").as_deref(),
        Some("mine")
    );
    std::fs::remove_file(workspace.project().join("dist/a/precious.txt")).unwrap();
    assert!(workspace.build().success);
    workspace.write("project/dist/a/added.txt", "mine");
    assert!(workspace.try_build(BuildOptions::default()).is_err());
    let registry = Registry::new().with(Arc::new(Script));
    let cleaned = synth_engine::clean(
        &workspace.load().unwrap(),
        &registry,
        &BuildOptions {
            store: Some(workspace.directory.path().join("the store")),
            ..BuildOptions::default()
        },
    );
    assert_eq!(cleaned.unwrap_err()[0].code, "output.not_ours");
}

#[test]
fn an_output_that_is_not_left_is_a_failure() {
    let workspace = Workspace::new(&pipeline("", &["a | | rm -r out"]));
    let report = workspace.build();
    assert_eq!(
        report.targets[0].diagnostics[0].message,
        "`run the script` succeeded but left no directory `out`"
    );
}

#[test]
fn an_output_behind_a_link_is_refused() {
    let workspace = Workspace::new("");
    let outside = workspace.directory.path().join("outside");
    workspace.write("outside/precious.txt", "mine");
    let script = format!("rm -r out; ln -s \"{}\" out", outside.display());
    workspace.write(
        "project/synth.toml",
        &pipeline("", &[&format!("a | | {script}")]),
    );
    let report = workspace.build();
    assert_eq!(report.targets[0].diagnostics[0].code, "execute.output.link");
    assert!(outside.join("precious.txt").exists());
}

#[test]
fn hard_links_and_protected_directories_are_kept_apart() {
    use std::os::unix::fs::PermissionsExt;
    let workspace = Workspace::new("");
    let user = workspace.directory.path().join("user.txt");
    workspace.write("user.txt", "mine");
    let script = format!(
        "ln \"{}\" out/user.txt; echo 1 > out/x.txt; chmod 755 out/x.txt; \
         for i in 1 2 3 4 5; do ln out/x.txt out/$i.txt; done; \
         mkdir out/deep; echo > out/deep/y.txt; chmod 500 out/deep",
        user.display()
    );
    workspace.write(
        "project/synth.toml",
        &pipeline("", &[&format!("a | | {script}")]),
    );
    assert!(workspace.build().success);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for name in ["x", "1", "2", "3", "4", "5"] {
        let path = workspace.project().join(format!("dist/a/{name}.txt"));
        assert_eq!(mode(&path), 0o755, "{name}");
    }
    assert_ne!(mode(&user), 0o444, "the user's own file stays as it was");
    std::fs::write(&user, "changed").unwrap();
    std::fs::remove_dir_all(workspace.project().join("dist")).unwrap();
    assert_eq!(statuses(&workspace.build()), [("a", TargetStatus::Cached)]);
    assert_eq!(workspace.read("dist/a/user.txt").as_deref(), Some("mine"));
}

#[test]
fn rollback_replaces_all_outputs_or_none() {
    let config = |text: &str| {
        pipeline(
            "failure_strategy = \"rollback\"",
            &[
                &format!("a | | echo {text} > out/a.txt"),
                // A file appears among the outputs of `b` while it is built.
                &format!("b | a | echo {text} > out/b.txt; [ {text} = 1 ] || echo > \"$PRECIOUS\""),
            ],
        )
    };
    let workspace = Workspace::new(&config("1"));
    let precious = workspace.project().join("dist/b/precious.txt");
    let variable = format!("environment = {{ PRECIOUS = '{}' }}\n", precious.display());
    for (text, success) in [("1", true), ("2", false)] {
        workspace.write("project/synth.toml", &(config(text) + &variable));
        assert_eq!(workspace.build().success, success, "{text}");
    }
    assert_eq!(workspace.read("dist/a/a.txt").as_deref(), Some("1\n"));
    assert!(precious.exists());
}

#[test]
fn outputs_that_a_dying_build_took_away_are_put_back() {
    let workspace = Workspace::new(&pipeline("", &["a | | echo a > out/a.txt"]));
    workspace.build();
    // As on a file system that can't exchange directories: the earlier ones are aside.
    let aside = workspace.project().join("dist/.a.synth-Xyz");
    std::fs::create_dir(&aside).unwrap();
    std::fs::rename(workspace.project().join("dist/a"), aside.join("earlier")).unwrap();
    let report = workspace.build();
    assert_eq!(statuses(&report), [("a", TargetStatus::UpToDate)]);
    assert!(!aside.exists());
}
