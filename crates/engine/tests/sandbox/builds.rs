//! Whole builds whose actions are kept to what they declare.

use std::path::Path;

use synth_core::Diagnostic;
use synth_engine::plugin::HostProgram;
use synth_engine::{BuildOptions, BuildReport, SandboxMode, TargetStatus};

use crate::sharing;
use crate::workspace::{Workspace, pipeline};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("undeclared_writes_are_told", undeclared_writes_are_told),
    ("undeclared_reads_are_told", undeclared_reads_are_told),
    ("the_source_tree_stays_clean", the_source_tree_stays_clean),
    (
        "inputs_in_memory_are_as_those_on_the_disk",
        inputs_in_memory_are_as_those_on_the_disk,
    ),
    (
        "an_action_finds_no_trace_of_another",
        an_action_finds_no_trace_of_another,
    ),
    (
        "paths_are_the_same_in_every_build",
        paths_are_the_same_in_every_build,
    ),
    (
        "the_key_holds_what_may_be_seen",
        the_key_holds_what_may_be_seen,
    ),
    (
        "without_a_sandbox_one_warning_tells_it",
        without_a_sandbox_one_warning_tells_it,
    ),
    (
        "concurrent_actions_have_networks_of_their_own",
        concurrent_actions_have_networks_of_their_own,
    ),
    ("makes_share_the_jobs", || {
        sharing::makes_share_the_jobs(&strict);
    }),
    ("jobs_that_are_kept_come_back", || {
        sharing::jobs_that_are_kept_come_back(&strict);
    }),
    ("what_was_used_is_told_and_learned", || {
        sharing::what_was_used_is_told_and_learned(&strict);
    }),
];

fn strict() -> BuildOptions {
    options(Some(SandboxMode::Strict))
}

fn options(mode: Option<SandboxMode>) -> BuildOptions {
    BuildOptions {
        sandbox: mode,
        sandbox_host: Some(HostProgram {
            program: std::env::current_exe().unwrap(),
            arguments: vec![crate::HOST.into()],
        }),
        ..BuildOptions::default()
    }
}

/// Every problem of a report, with what is to be done.
fn told(report: &BuildReport) -> String {
    let line = |problem: &Diagnostic| {
        format!(
            "{}: {}\n  {}",
            problem.code,
            problem.message,
            problem.help.join("\n  ")
        )
    };
    report
        .all_diagnostics()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

fn statuses(report: &BuildReport) -> Vec<TargetStatus> {
    report.targets.iter().map(|target| target.status).collect()
}

fn undeclared_writes_are_told() {
    let script = "app | | echo > out/app.txt; mkdir -p tmp; echo > tmp/left; echo > src/made; echo > src/input.txt";
    for (mode, status, code) in [
        (SandboxMode::Strict, TargetStatus::Failed, "sandbox.write"),
        (SandboxMode::Warn, TargetStatus::Built, "sandbox.write"),
        (SandboxMode::Off, TargetStatus::Built, ""),
    ] {
        let workspace = Workspace::new(&pipeline("", &[script]));
        let report = workspace.build_with(options(Some(mode)));
        assert_eq!(statuses(&report), [status], "{mode:?}: {}", told(&report));
        assert!(
            told(&report).starts_with(code),
            "{mode:?}: {}",
            told(&report)
        );
        assert_eq!(told(&report).is_empty(), code.is_empty());
    }
    let workspace = Workspace::new(&pipeline("", &[script]));
    let report = workspace.build_with(options(None));
    insta::assert_snapshot!(told(&report), @r#"
    sandbox.write: `run the script` left what is none of its outputs: `src/made`, `tmp/left`
      add `outputs = ["src/made", "tmp/left"]` where it is a result, `scratch = ["src/made", "tmp/left"]` where nobody needs it
    sandbox.write.input: `run the script` changed its inputs: `src/input.txt`
      have it write elsewhere, or add `scratch = ["src/input.txt"]`: the project's own files stay as they are
    "#);
}

/// Few inputs are laid out in memory, below what the action writes; many bytes are not.
fn inputs_in_memory_are_as_those_on_the_disk() {
    let is_in_memory = "grep -q '/synth/root .*overlay' /proc/self/mountinfo";
    for script in [
        "cat src/input.txt > out/x",
        "ln src/input.txt out/x; ln -s ../src/input.txt out/y",
        "stat -c '%a %s %Y %F' src src/input.txt src/deep/a > out/x",
        "seen=$(stat -c '%a %Y' . src src/deep); echo \"$seen\" > out/x",
        "echo > out/x; echo more >> src/input.txt",
        "echo > out/x; chmod 755 src/input.txt",
        "echo > out/x; touch src/input.txt",
        "echo > out/x; rm src/input.txt",
        "echo > out/x; rm -r src/deep",
        "echo > out/x; rm -r src/deep; mkdir src/deep; echo > src/deep/b",
        "echo > out/x; rm -r src/deep; echo > src/deep",
        "echo > out/x; mv src/input.txt src/other.txt",
        "mv src/input.txt out/x; mkdir -p deep/er; echo > deep/er/left",
        "cd src; find . | sort > ../out/x; echo > ../left",
        "rmdir out; echo > out",
        "rm -r src; ls > out/x",
    ] {
        let outcome = |size: u64, check: &str| {
            let line = format!("app | | {check} || exit 99; {script}");
            let workspace = Workspace::new(&pipeline("", &[&line]));
            workspace.write("project/src/deep/a", "a");
            workspace.write("project/src/large", "");
            let large = workspace.project().join("src/large");
            let large = std::fs::File::options().write(true).open(large);
            large.unwrap().set_len(size).unwrap();
            let report = workspace.build_with(options(None));
            let artifacts = report.targets[0].artifacts.iter();
            let artifacts: Vec<String> = artifacts.map(|a| format!("{a:?}")).collect();
            (statuses(&report), told(&report), artifacts)
        };
        let in_memory = outcome(0, is_in_memory);
        let on_disk = outcome(9 * 1024 * 1024, &format!("! {is_in_memory}"));
        assert_eq!(in_memory, on_disk, "{script}");
        assert!(!in_memory.1.contains("99"), "{script}: {}", in_memory.1);
    }
}

/// They have one directory after the other.
fn an_action_finds_no_trace_of_another() {
    let look = "seen=$(ls -lAR --time-style=+ /synth /tmp | grep -v total); echo \"$seen\" > out/x";
    for trace in [
        "true",
        "echo > \"$HOME/left\"",
        "echo > /tmp/left",
        "echo > /synth/left",
        "mkdir -p /synth/outputs/left /synth/work/left",
        "chmod 700 /tmp \"$HOME\"",
        "chmod 777 /synth",
        "rmdir /tmp/../synth/home; ln -s /etc /synth/home",
        "mkdir /tmp/left; chmod 000 /tmp/left",
    ] {
        let first = format!("a | | {trace}; echo > out/x");
        let second = format!("b | | {look}");
        let seen = |targets: &[&str]| {
            let head = "parallel_execution = false\nfailure_strategy = 'continue'";
            let workspace = Workspace::new(&pipeline(head, targets));
            let report = workspace.build_with(options(None));
            let last = report.targets.len() - 1;
            assert!(
                report.targets[last].status.is_success(),
                "{}",
                told(&report)
            );
            workspace
                .read("dist/b/x.txt")
                .or_else(|| workspace.read("dist/b/x"))
        };
        let alone = seen(&[second.as_str()]);
        assert!(alone.is_some());
        assert_eq!(seen(&[&first, &second]), alone, "{trace}");
    }
}

fn undeclared_reads_are_told() {
    let workspace = Workspace::new(&pipeline(
        "failure_strategy = 'continue'",
        &[
            "lib | | echo x > out/x.txt",
            "app | | cat secret.txt",
            "other | | cat dist/lib/x.txt",
        ],
    ));
    workspace.write("project/secret.txt", "secret");
    let outside = workspace.directory.path().join("outside.txt");
    workspace.write("outside.txt", "outside");
    let report = workspace.build_with(options(None));
    let shown = told(&report).replace(workspace.directory.path().to_str().unwrap(), "[DIR]");
    insta::assert_snapshot!(shown, @r#"
    build.failed: `run the script` failed with exit code 1
      an action sees only what it declares: make the file an input, or have an earlier step leave it
    sandbox.read: the project has `secret.txt`, which `run the script` does not get
      set `source_path` to a directory that holds all that it needs
    build.failed: `run the script` failed with exit code 1
      an action sees only what it declares: make the file an input, or have an earlier step leave it
    sandbox.read.output: `run the script` may have looked for an output of the target `lib`
      add `needs = ["lib"]`: its outputs are then below `needs/lib`
    "#);

    let script = format!("app | | cat '{}' > out/x.txt", outside.display());
    let config = pipeline("", &[&script]);
    // Where there is room for a hint: a place that is nobody's.
    let place = tempfile::tempdir_in("/var/tmp").unwrap();
    let file = place.path().join("compiler.conf");
    std::fs::write(&file, "x").unwrap();
    let script = format!("app | | cat '{}' > out/x.txt", file.display());
    for (config, status) in [
        (config, TargetStatus::Failed),
        (pipeline("", &[&script]), TargetStatus::Failed),
        (
            pipeline(
                &format!("sandbox = {{ read = ['{}'] }}", place.path().display()),
                &[&script],
            ),
            TargetStatus::Built,
        ),
    ] {
        workspace.write("project/synth.toml", &config);
        let report = workspace.build_with(options(None));
        assert_eq!(statuses(&report), [status], "{config} {}", told(&report));
    }
}

fn the_source_tree_stays_clean() {
    let workspace = Workspace::new("");
    let project = workspace.project();
    let script = format!(
        "app | | echo changed > '{}/src/input.txt'; echo x > out/x.txt",
        project.display()
    );
    workspace.write("project/synth.toml", &pipeline("", &[&script]));
    assert!(workspace.build_with(options(None)).success);
    assert_eq!(workspace.read("src/input.txt").unwrap(), "one");
    assert_eq!(names(&project), [".synth", "dist", "src", "synth.toml"]);
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn paths_are_the_same_in_every_build() {
    let script = "app | | { pwd; echo $HOME $TMPDIR; id -u; hostname; } > out/x.txt";
    let workspace = Workspace::new(&pipeline("", &[script]));
    assert!(workspace.build_with(options(None)).success);
    let user = rustix::process::geteuid().as_raw();
    assert_eq!(
        workspace.read("dist/app/x.txt").unwrap(),
        format!("/synth/root\n/synth/home /tmp\n{user}\nlocalhost\n")
    );
}

fn the_key_holds_what_may_be_seen() {
    use TargetStatus::{Built, UpToDate};
    let workspace = Workspace::new(&pipeline("", &["app | | echo x > out/x.txt"]));
    for (mode, status) in [
        (Some(SandboxMode::Strict), Built),
        (None, UpToDate),
        (Some(SandboxMode::Off), Built),
        // What is not kept from an action is the same in both.
        (Some(SandboxMode::Warn), UpToDate),
    ] {
        let report = workspace.build_with(options(mode));
        assert_eq!(executed(&report), status == Built, "{mode:?}");
    }
    let config = pipeline(
        "sandbox = { read = ['/srv'] }",
        &["app | | echo x > out/x.txt"],
    );
    workspace.write("project/synth.toml", &config);
    assert!(executed(&workspace.build_with(options(None))));
}

fn executed(report: &BuildReport) -> bool {
    let actions = report.targets.iter().flat_map(|target| &target.actions);
    actions
        .map(|action| action.status)
        .any(|status| status == synth_engine::ActionStatus::Executed)
}

fn without_a_sandbox_one_warning_tells_it() {
    let script = "echo x > out/x.txt; echo > src/made";
    let targets = [format!("a | | {script}"), format!("b | | {script}")];
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let workspace = Workspace::new(&pipeline("", &targets));
    let mut without = options(Some(SandboxMode::Strict));
    // A program that is none.
    without.sandbox_host = Some(HostProgram {
        program: "/bin/false".into(),
        arguments: Vec::new(),
    });
    let report = workspace.build_with(without);
    assert!(report.success, "{}", told(&report));
    let codes: Vec<&str> = report
        .all_diagnostics()
        .map(|problem| problem.code.as_str())
        .collect();
    let unavailable = codes
        .iter()
        .filter(|code| **code == "sandbox.unavailable")
        .count();
    assert_eq!((unavailable, codes.len()), (1, 3), "{codes:?}");
}

fn concurrent_actions_have_networks_of_their_own() {
    // Each listens where the other does, for as long as the other may.
    let serve = "perl -MIO::Socket::INET -e 'IO::Socket::INET->new(Listen=>1, LocalAddr=>\"127.0.0.1:4321\") or die $!; sleep 1' && echo x > out/x.txt";
    let targets = [format!("a | | {serve}"), format!("b | | {serve}")];
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let workspace = Workspace::new(&pipeline("", &targets));
    let report = workspace.build_with(options(None));
    assert!(report.success, "{}", told(&report));
}
