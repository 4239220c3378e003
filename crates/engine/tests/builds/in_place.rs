//! Outputs among the sources: put there file by file, told apart from sources ever after, and
//! nobody else's file touched.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use synth_engine::{BuildOptions, BuildReport, Registry, TargetStatus};

use crate::workspace::{Script, Workspace, statuses};

/// A target in `src` that leaves what matches `outputs` there; `more` is added to its table.
fn target(name: &str, outputs: &[&str], script: &str, more: &str) -> String {
    format!(
        "[targets.{name}]\ntype = \"script\"\nsource_path = \"src\"\noutputs = {outputs:?}\n\
         script = '''cd src; {script}'''\n{more}\n"
    )
}

/// A target that lists what it sees of `src` in `dist/NAME/seen.txt`.
fn lister(name: &str, more: &str) -> String {
    format!(
        "[targets.{name}]\ntype = \"script\"\nsource_path = \"src\"\n\
         script = '''(cd src; find . -type f | sort) > out/seen.txt'''\n{more}\n"
    )
}

/// Generates `gen/a.txt` and `app` from `input.txt`.
fn generator(more: &str) -> String {
    let script = "mkdir -p gen; tr a-z A-Z < input.txt > gen/a.txt; cp input.txt app; chmod +x app";
    target("gen", &["gen/**", "app"], script, more)
}

fn digests(report: &BuildReport) -> BTreeMap<String, Option<String>> {
    let targets = report.targets.iter();
    targets
        .flat_map(|target| &target.actions)
        .map(|action| (action.description.clone(), action.digest.clone()))
        .collect()
}

fn code(report: &BuildReport, target: usize) -> &str {
    &report.targets[target].diagnostics[0].code
}

fn message(report: &BuildReport, target: usize) -> &str {
    &report.targets[target].diagnostics[0].message
}

fn remove(workspace: &Workspace, path: &str) {
    let path = workspace.project().join(path);
    let removed = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
    removed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// All files of the project but synth's own.
fn files(workspace: &Workspace) -> Vec<String> {
    fn walk(directory: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() && entry.file_name() != ".synth" {
                walk(&path, root, found);
            } else if !path.is_dir() {
                let relative = path.strip_prefix(root).unwrap();
                found.push(relative.display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(&workspace.project(), &workspace.project(), &mut found);
    found.sort();
    found
}

#[test]
fn outputs_land_among_the_sources_and_a_second_build_finds_them() {
    use std::os::unix::fs::PermissionsExt;
    let workspace = Workspace::new(&(generator("") + &lister("list", "")));
    let report = workspace.build();
    assert_eq!(
        statuses(&report),
        [("gen", TargetStatus::Built), ("list", TargetStatus::Built)]
    );
    assert_eq!(workspace.read("src/gen/a.txt").as_deref(), Some("ONE"));
    let app = workspace.project().join("src/app");
    assert_eq!(app.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    let artifacts: Vec<&str> = report.targets[0]
        .artifacts
        .iter()
        .map(|artifact| artifact.path.as_str())
        .collect();
    assert_eq!(artifacts, Vec::<&str>::new(), "no `*.txt` at the top");
    assert_eq!(
        files(&workspace),
        [
            "dist/list/seen.txt",
            "src/app",
            "src/gen/a.txt",
            "src/input.txt",
            "synth.toml"
        ]
    );
    for _ in 0..2 {
        let again = workspace.build();
        assert_eq!(
            statuses(&again),
            [
                ("gen", TargetStatus::UpToDate),
                ("list", TargetStatus::UpToDate)
            ]
        );
        assert_eq!(digests(&again), digests(&report));
    }
    assert_eq!(
        workspace.read("dist/list/seen.txt").as_deref(),
        Some("./input.txt\n"),
        "what is put among the sources is none of them"
    );
}

#[test]
fn what_was_lost_or_changed_is_put_back() {
    let workspace = Workspace::new(&(generator("") + &lister("list", "")));
    let first = workspace.build();
    remove(&workspace, "src/gen/a.txt");
    workspace.write("project/src/app", "changed by hand");
    let again = workspace.build();
    assert_eq!(
        statuses(&again),
        [
            ("gen", TargetStatus::Cached),
            ("list", TargetStatus::UpToDate)
        ]
    );
    assert_eq!(digests(&again), digests(&first));
    assert_eq!(workspace.read("src/app").as_deref(), Some("one"));
    assert_eq!(workspace.read("src/gen/a.txt").as_deref(), Some("ONE"));
}

#[test]
fn a_file_that_synth_did_not_write_is_not_replaced() {
    let workspace = Workspace::new(&generator(""));
    workspace.write("project/src/gen/a.txt", "mine");
    workspace.write("project/src/gen/other.txt", "mine too");
    let report = workspace.build();
    assert_eq!(statuses(&report), [("gen", TargetStatus::Failed)]);
    assert_eq!(code(&report, 0), "output.not_ours");
    assert_eq!(
        message(&report, 0),
        "target `gen` would replace what synth did not write: `src/gen/a.txt`"
    );
    assert_eq!(workspace.read("src/gen/a.txt").as_deref(), Some("mine"));
    assert_eq!(workspace.read("src/app"), None, "all or nothing");
    remove(&workspace, "src/gen/a.txt");
    assert!(workspace.build().success);
    assert_eq!(
        workspace.clean().unwrap(),
        ["src/app", "src/gen/a.txt"],
        "the other file stays, and so does its directory"
    );
    assert!(workspace.read("src/gen/other.txt").is_some());
}

#[test]
fn a_file_with_the_same_bytes_is_taken_over() {
    let built = Workspace::new(&(generator("") + &lister("list", "")));
    let first = built.build();
    // A checkout with what was built in it, and no memory of who wrote it.
    remove(&built, ".synth");
    remove(&built, "dist");
    let again = built.build();
    assert_eq!(digests(&again), digests(&first));
    assert_eq!(
        statuses(&again),
        [
            ("gen", TargetStatus::UpToDate),
            ("list", TargetStatus::Cached)
        ]
    );
    built.write("project/src/input.txt", "two");
    assert!(built.build().success);
    assert_eq!(built.read("src/gen/a.txt").as_deref(), Some("TWO"));
}

#[test]
fn what_is_no_longer_produced_goes() {
    let config = |outputs: &[&str], script: &str| target("gen", outputs, script, "");
    let workspace = Workspace::new(&config(
        &["deep/**"],
        "mkdir -p deep/er kept; echo 1 > deep/er/1; echo 2 > deep/2; echo 3 > deep/3",
    ));
    workspace.write("project/src/kept/mine", "mine");
    workspace.build();
    workspace.write("project/src/deep/3", "made mine");
    // A file takes the place of a directory.
    let changed = config(&["deep/er"], "echo 4 > deep/er");
    workspace.write("project/synth.toml", &changed);
    let report = workspace.build();
    assert!(report.success, "{:?}", report.targets[0].diagnostics);
    assert_eq!(
        files(&workspace),
        [
            "src/deep/3",
            "src/deep/er",
            "src/input.txt",
            "src/kept/mine",
            "synth.toml"
        ],
        "what was changed since is not removed"
    );
    // And a directory that of a file.
    let changed = config(&["deep/er/**"], "mkdir -p deep/er; echo 5 > deep/er/5");
    workspace.write("project/synth.toml", &changed);
    assert!(workspace.build().success);
    assert_eq!(workspace.read("src/deep/er/5").as_deref(), Some("5\n"));
    assert_eq!(workspace.clean().unwrap(), ["src/deep/er"]);
    assert_eq!(workspace.clean().unwrap(), Vec::<String>::new());
}

#[test]
fn what_needs_the_target_gets_the_same_tree() {
    let needs = "[targets.use]\ntype = \"script\"\nsource_path = \"src\"\nneeds = [\"gen\"]\n\
                 script = '''cat \"$SYNTH_OUT_GEN/gen/a.txt\" > out/used.txt'''\n";
    let workspace = Workspace::new(&(generator("") + needs));
    let report = workspace.build();
    assert!(report.success);
    assert_eq!(workspace.read("dist/use/used.txt").as_deref(), Some("ONE"));
}

/// The sort of the records of what targets have put among their sources.
const IN_PLACE: i32 = 3;

#[test]
fn a_build_that_died_in_between_is_finished() {
    let workspace = Workspace::new(&(generator("") + &lister("list", "")));
    let first = workspace.build();
    // As when a build died after it had written one of two new files.
    let (name, text) = &workspace.records(IN_PLACE)[0];
    let mut value: serde_json::Value = serde_json::from_slice(text).unwrap();
    let files = value["files"].take();
    value["pending"] = files
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, placed)| (path.clone(), placed["content"].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    value["files"] = serde_json::json!({});
    workspace.set_record(IN_PLACE, name, value.to_string().as_bytes());
    remove(&workspace, "src/app");
    let aside = ".synth/staging/left/src/app";
    workspace.write(&format!("project/{aside}"), "half");
    let again = workspace.build();
    assert_eq!(digests(&again), digests(&first));
    assert_eq!(statuses(&again)[0], ("gen", TargetStatus::Cached));
    assert_eq!(workspace.read("src/app").as_deref(), Some("one"));
    assert_eq!(workspace.read(aside), None);
    assert_eq!(statuses(&workspace.build())[0].1, TargetStatus::UpToDate);
    // What was about to be written is no licence to replace something else at its place.
    value["pending"]["src/app"] = "0".repeat(64).into();
    workspace.set_record(IN_PLACE, name, value.to_string().as_bytes());
    workspace.write("project/src/input.txt", "two");
    let report = workspace.build();
    assert_eq!(code(&report, 0), "output.not_ours");
}

#[test]
fn two_targets_do_not_write_one_file() {
    let other = target("other", &["app"], "echo other > app", "needs = [\"gen\"]");
    for head in ["", "failure_strategy = \"rollback\"\n"] {
        let workspace = Workspace::new(&(head.to_owned() + &generator("") + &other));
        let report = workspace.build();
        assert!(!report.success, "{head:?}");
        assert_eq!(code(&report, 1), "output.shared", "{head:?}");
        assert_eq!(
            message(&report, 1),
            "targets `other` and `gen` both write `src/app`"
        );
        let written = head.is_empty().then_some("one");
        assert_eq!(workspace.read("src/app").as_deref(), written, "{head:?}");
    }
}

#[test]
fn a_file_moves_from_one_target_to_another() {
    let workspace = Workspace::new(&target("a", &["x.txt"], "echo a > x.txt", ""));
    workspace.build();
    // Renamed: the record of the old name holds what the new one writes.
    workspace.write(
        "project/synth.toml",
        &target("b", &["x.txt"], "echo b > x.txt", ""),
    );
    assert!(workspace.build().success);
    assert_eq!(workspace.read("src/x.txt").as_deref(), Some("b\n"));
    // Handed over between two that both are still there, whichever of them is done first.
    for (first, second) in [("x", "y"), ("y", "x")] {
        let config = target(
            "b",
            &[&format!("{first}.txt")],
            &format!("echo b > {first}.txt"),
            "",
        ) + &target(
            "c",
            &[&format!("{second}.txt")],
            &format!("echo c > {second}.txt"),
            "needs = [\"b\"]",
        );
        workspace.write("project/synth.toml", &config);
        let report = workspace.build();
        assert!(
            report.success,
            "{first} {:?}",
            report.targets[1].diagnostics
        );
        let read = |name: &str| workspace.read(&format!("src/{name}.txt"));
        assert_eq!(read(first).as_deref(), Some("b\n"));
        assert_eq!(read(second).as_deref(), Some("c\n"));
        assert!(
            statuses(&workspace.build())
                .iter()
                .all(|(_, s)| *s == TargetStatus::UpToDate)
        );
    }
    assert_eq!(workspace.clean().unwrap(), ["src/y.txt", "src/x.txt"]);
}

#[test]
fn a_file_that_another_target_takes_over_with_the_same_bytes_stays() {
    let both = target(
        "old",
        &["a.txt", "b.txt"],
        "echo a > a.txt; echo b > b.txt",
        "",
    );
    let workspace = Workspace::new(&both);
    assert!(workspace.build().success);
    // The new one is done first, and the old one has a file less then.
    let split = target("new", &["b.txt"], "echo b > b.txt", "")
        + &target("old", &["a.txt"], "echo a > a.txt", "needs = [\"new\"]");
    workspace.write("project/synth.toml", &split);
    assert!(workspace.build().success);
    assert_eq!(workspace.read("src/b.txt").as_deref(), Some("b\n"));
    let report = workspace.build();
    let again = statuses(&report);
    assert!(again.iter().all(|(_, s)| *s == TargetStatus::UpToDate));
    // Of what another one has now, a target that is gone has nothing any more.
    workspace.write(
        "project/synth.toml",
        &target(
            "late",
            &["a.txt", "b.txt"],
            "echo c > a.txt; echo d > b.txt",
            "",
        ),
    );
    assert!(workspace.build().success);
    let records = workspace.records(IN_PLACE);
    let names: Vec<&str> = records.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["late"]);
}

#[test]
fn targets_that_are_gone_are_cleaned_with_all_others() {
    let workspace = Workspace::new(&(generator("") + &lister("list", "")));
    let first = workspace.build();
    workspace.write("project/synth.toml", &lister("list", ""));
    let report = workspace.build();
    assert_eq!(
        report.targets[0].actions[0].digest, first.targets[1].actions[0].digest,
        "what a target wrote that is no more is still no source"
    );
    workspace.write("project/src/app", "now a source");
    workspace.build();
    assert_eq!(
        workspace.read("dist/list/seen.txt").as_deref(),
        Some("./app\n./input.txt\n")
    );
    assert_eq!(workspace.clean().unwrap(), ["src/gen", "dist/list"]);
    assert_eq!(
        files(&workspace),
        ["src/app", "src/input.txt", "synth.toml"]
    );
}

#[test]
fn an_output_path_takes_the_outputs_out_of_the_sources() {
    let workspace = Workspace::new(&generator(""));
    workspace.build();
    workspace.write(
        "project/synth.toml",
        &generator("output_path = \"src/gen\""),
    );
    let report = workspace.build();
    assert!(report.success, "{:?}", report.targets[0].diagnostics);
    assert_eq!(
        files(&workspace),
        [
            "src/gen/app",
            "src/gen/gen/a.txt",
            "src/input.txt",
            "synth.toml"
        ]
    );
    assert_eq!(statuses(&workspace.build())[0].1, TargetStatus::UpToDate);
    // And back: what is left of the directory is no source for that.
    workspace.write("project/synth.toml", &(generator("") + &lister("list", "")));
    assert!(workspace.build().success);
    assert_eq!(workspace.read("src/gen/a.txt").as_deref(), Some("ONE"));
    let seen = workspace.read("dist/list/seen.txt");
    assert_eq!(seen.as_deref(), Some("./input.txt\n"));
}

#[test]
fn rollback_puts_all_in_place_or_none() {
    let config = |text: &str, end: &str| {
        "failure_strategy = \"rollback\"\n".to_owned()
            + &target("a", &["a.txt"], &format!("echo {text} > a.txt"), "")
            + &target(
                "b",
                &["b.txt"],
                &format!("echo {text} > b.txt; {end}"),
                "needs = [\"a\"]",
            )
    };
    let workspace = Workspace::new(&config("1", ""));
    let report = workspace.build();
    assert!(report.success);
    assert_eq!(report.targets[0].artifacts[0].path.as_str(), "src/a.txt");
    workspace.write("project/synth.toml", &config("2", "exit 1"));
    assert!(!workspace.build().success);
    let read = || (workspace.read("src/a.txt"), workspace.read("src/b.txt"));
    let both = |text: &str| (Some(text.to_owned()), Some(text.to_owned()));
    assert_eq!(read(), both("1\n"));
    // Nor when it turns out at the end that one of them can't be put in place.
    remove(&workspace, "src/b.txt");
    std::fs::create_dir(workspace.project().join("src/b.txt")).unwrap();
    workspace.write("project/src/b.txt/mine", "mine");
    workspace.write("project/synth.toml", &config("3", ""));
    let report = workspace.build();
    assert_eq!(code(&report, 1), "output.not_ours");
    assert_eq!(workspace.read("src/a.txt").as_deref(), Some("1\n"));
}

#[test]
fn links_on_the_way_and_reserved_places_are_refused() {
    for (prepare, outputs, script, expected) in [
        (
            "link",
            "link/x.txt",
            "echo > link/x.txt",
            "execute.output.link",
        ),
        (
            "link",
            "link",
            "mkdir link; echo > link/x.txt",
            "output.not_ours",
        ),
        (
            "",
            ".git/hooks/pre-commit",
            "mkdir -p .git/hooks; echo > .git/hooks/pre-commit",
            "output.reserved",
        ),
        ("", "none/**", "mkdir none", "execute.output.missing"),
    ] {
        let workspace = Workspace::new(&target("a", &[outputs], script, ""));
        let outside = workspace.directory.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        if !prepare.is_empty() {
            let link = workspace.project().join("src").join(prepare);
            std::os::unix::fs::symlink(&outside, link).unwrap();
        }
        let report = workspace.build();
        assert_eq!(code(&report, 0), expected, "{outputs}");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
        assert!(!workspace.project().join("src/.git").exists());
    }
}

#[test]
fn a_pattern_that_nothing_matches_is_named() {
    let script = "mkdir dist; echo > dist/a; mkfifo pipe";
    let workspace = Workspace::new(&target("a", &["dist/**", "doc/**"], script, ""));
    let report = workspace.build();
    assert_eq!(
        message(&report, 0),
        "`run the script` succeeded but left nothing that matches `doc/**` below `src`"
    );
}

#[test]
fn a_default_output_path_that_is_not_used_is_in_nobodys_way() {
    // `dist/app` is the default output path of the target, and here a file that it leaves.
    let app = "[targets.app]\ntype = \"script\"\nsource_path = \".\"\noutputs = [\"dist/app\"]\n\
               script = '''cp src/input.txt dist/app'''\n";
    let workspace = Workspace::new(app);
    for status in [TargetStatus::Built, TargetStatus::UpToDate] {
        assert_eq!(statuses(&workspace.build()), [("app", status)]);
    }
    assert_eq!(workspace.read("dist/app").as_deref(), Some("one"));
    assert_eq!(workspace.clean().unwrap(), ["dist"]);
    // Nor does it clash with one that was chosen, unless it is used.
    let other = lister("list", "output_path = \"dist\"");
    let elsewhere = generator("") + &other;
    workspace.write("project/synth.toml", &elsewhere);
    assert!(workspace.build().success);
    let clash = lister("a", "") + &other;
    workspace.write("project/synth.toml", &clash);
    let problems = workspace.try_build(BuildOptions::default()).unwrap_err();
    assert_eq!(problems[0].code, "config.output.shared");
    let registry = Registry::new().with(Arc::new(Script));
    let report = synth_engine::check(&workspace.load().unwrap(), &registry);
    assert_eq!(report.diagnostics, problems);
    // And into another's output directory nothing is put.
    workspace.write("project/synth.toml", &(app.to_owned() + &other));
    let report = workspace.build();
    assert_eq!(code(&report, 0), "output.shared");
}
