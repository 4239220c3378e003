//! What is built, found in the cache, and never mistaken for a source.

use std::sync::Arc;

use synth_engine::{BuildOptions, Registry, TargetStatus};

use crate::workspace::{Script, Workspace, pipeline, statuses};

#[test]
fn results_are_built_once_and_restored_from_the_cache() {
    let workspace = Workspace::new(&pipeline(
        "",
        &[
            "a | | cp src/input.txt out/a.txt",
            "b | a | cat \"$SYNTH_OUT_A/a.txt\" src/input.txt > out/b.txt",
        ],
    ));
    use TargetStatus::{Built, Cached, UpToDate};
    let first = workspace.build();
    assert_eq!(statuses(&first), [("a", Built), ("b", Built)]);
    assert_eq!(workspace.read("dist/b/b.txt").unwrap(), "oneone");
    assert_eq!(first.targets[1].artifacts[0].path.as_str(), "dist/b/b.txt");
    assert_eq!(
        statuses(&workspace.build()),
        [("a", UpToDate), ("b", UpToDate)]
    );

    std::fs::remove_dir_all(workspace.project().join("dist/a")).unwrap();
    assert_eq!(
        statuses(&workspace.build()),
        [("a", Cached), ("b", UpToDate)]
    );

    // An output that was tampered with is put right.
    workspace.write("project/dist/b/b.txt", "wrong!");
    assert_eq!(
        statuses(&workspace.build()),
        [("a", UpToDate), ("b", Cached)]
    );
    assert_eq!(workspace.read("dist/b/b.txt").unwrap(), "oneone");

    workspace.write("project/src/input.txt", "two");
    assert_eq!(statuses(&workspace.build()), [("a", Built), ("b", Built)]);
    workspace.write("project/src/input.txt", "one");
    assert_eq!(statuses(&workspace.build()), [("a", Cached), ("b", Cached)]);

    let uncached = BuildOptions {
        use_cache: false,
        ..BuildOptions::default()
    };
    assert_eq!(
        statuses(&workspace.build_with(uncached)),
        [("a", Built), ("b", Built)]
    );
}

#[test]
fn two_builds_of_one_workspace_take_turns() {
    let workspace = Arc::new(Workspace::new(&pipeline(
        "",
        &["a | | sleep 0.2; date +%N > out/a.txt"],
    )));
    let builds: Vec<_> = (0..3)
        .map(|_| {
            let workspace = Arc::clone(&workspace);
            std::thread::spawn(move || workspace.build())
        })
        .collect();
    let executed = builds
        .into_iter()
        .map(|build| build.join().unwrap())
        .filter(|report| report.targets[0].status == TargetStatus::Built)
        .count();
    assert_eq!(executed, 1);
}

#[test]
fn what_other_targets_leave_is_never_a_source() {
    let workspace = Workspace::new("");
    let config = |environment: &str| {
        format!(
            "[targets.a]\ntype = 'script'\nsource_path = '.'\n\
             script = 'find src | sort > out/a.txt'\n\
             [targets.b]\ntype = 'script'\nsource_path = 'src'\nscript = 'echo > out/b.txt'\n{environment}"
        )
    };
    workspace.write("project/synth.toml", &config(""));
    workspace.build();
    let alone = workspace.read("dist/a/a.txt").unwrap();
    assert!(!alone.contains("b.txt"), "{alone}");
    // Neither the outputs of a target that is not built now, nor what a build that died has left.
    workspace.write("project/dist/.b.synth-Xyz/outputs/b.txt", "");
    workspace.write("project/.git/config", "");
    let registry = Registry::new().with(Arc::new(Script));
    let options = BuildOptions {
        store: Some(workspace.directory.path().join("the store")),
        ..BuildOptions::default()
    };
    let pipeline = workspace.load().unwrap().select(&["a".into()]).unwrap();
    let report = tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(synth_engine::build(&pipeline, &registry, &options))
        .unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(statuses(&report), [("a", TargetStatus::UpToDate)]);
    assert!(!workspace.project().join("dist/.b.synth-Xyz").exists());
}

#[test]
fn a_store_inside_the_project_is_no_source() {
    let workspace = Workspace::new("");
    workspace.write(
        "project/synth.toml",
        "[targets.a]\ntype = 'script'\nsource_path = '.'\nscript = 'find src > out/a.txt'\n",
    );
    let build = || workspace.build_with_store(&workspace.project().join(".cache/synth"));
    assert_eq!(statuses(&build()), [("a", TargetStatus::Built)]);
    assert_eq!(statuses(&build()), [("a", TargetStatus::UpToDate)]);
}

#[test]
fn environments_with_outputs_of_their_own_take_turns() {
    let workspace = Workspace::new("");
    let config = |output: &str| {
        pipeline("", &["a | | echo a > out/a.txt"]) + &format!("output_path = '{output}'\n")
    };
    for output in ["dist/dev", "dist/production", "dist/dev"] {
        workspace.write("project/synth.toml", &config(output));
        assert!(workspace.build().success, "{output}");
    }
}
