//! Commands that run, and the plans that they run by.

use insta::assert_snapshot;
use serde_json::json;
use synth_core::testkit::{Failed, TestPipeline};
use synth_core::{BuildTarget, ProjectPath, TargetSpec};
use synth_target_command::CommandTarget;

fn target(source_path: &str) -> TargetSpec {
    let source_path = ProjectPath::parse(source_path).unwrap_or_default();
    TargetSpec::new("app", "command", source_path)
}

fn pipeline(target: TargetSpec) -> TestPipeline {
    TestPipeline::new(CommandTarget)
        .file("src/main.txt", "text\n")
        .file("src/deep/more.txt", "more\n")
        .file("src/notes.md", "notes\n")
        .program(
            "src/tools/upper",
            "#!/bin/sh\ntr a-z A-Z < \"$1\" > \"$2\"\n",
        )
        .file("elsewhere.txt", "not for this target\n")
        .target(target)
}

#[test]
fn a_command_in_place() -> Result<(), Failed> {
    let target = target("src")
        .setting("command", vec!["cp", "main.txt", "build/copy.txt"])
        .setting("outputs", vec!["build/copy.txt"]);
    let pipeline = pipeline(target);
    assert_snapshot!(pipeline.plan_text()?, @"
    run (build): run cp main.txt build/copy.txt
      exec cp main.txt build/copy.txt
      working directory project/src
      tool cp
      in project/src from the sources below src, without build/copy.txt
      out outputs: directory project/src, only build/copy.txt

    exports go among the sources
    export outputs of run to .
    artifact command.output: everything exported
    ");
    let built = pipeline.build()?;
    assert_eq!(built.outputs.paths(), ["build/copy.txt"]);
    assert_eq!(built.outputs.text("build/copy.txt"), Some("text\n"));
    Ok(())
}

#[test]
fn a_script_with_everything() -> Result<(), Failed> {
    let target = target("src")
        .output_path(ProjectPath::parse("out").unwrap_or_default())
        .variable("GREETING", "hello")
        .setting(
            "script",
            "mkdir dist\nseen=$(find . -type f | sort)\necho \"$seen\" > dist/seen.txt\n\
             tools/upper main.txt dist/upper.txt\necho \"$GREETING $PASSED\" > dist/said.txt\n\
             cat \"$SYNTH_OUT_API/lib/api.txt\" > dist/api.txt\n",
        )
        .setting("shell", vec!["/bin/sh", "-eu", "-c"])
        .setting("inputs", vec!["**/*.txt", "tools"])
        .setting("exclude", vec!["deep"])
        .setting("outputs", vec!["dist/**"])
        .setting("tools", vec!["tr", "find"])
        .setting("pass_environment", vec!["PASS*"])
        .setting("network", true)
        .setting("timeout_seconds", 60);
    let pipeline = pipeline(target)
        .needed("api", [("lib/api.txt", "api\n")])
        .user_variable("PASSED", "passed on");
    assert_snapshot!(pipeline.plan_text()?, @r#"
    run (build): run the script
      exec sh -eu -c "mkdir dist\nseen=$(find . -type f | sort)\necho \"$seen\" > dist/seen.txt\ntools/upper main.txt dist/upper.txt\necho \"$GREETING $PASSED\" > dist/said.txt\ncat \"$SYNTH_OUT_API/lib/api.txt\" > dist/api.txt\n"
      working directory project/src
      env GREETING=hello
      pass PASS*
      tool find
      tool sh
      tool tr
      in project/src from the sources below src, only **/*.txt, tools, without deep, dist/**
      in needs/api from target api
      out outputs: directory project/src, only dist/**
      network allowed
      timeout 60 s

    export outputs of run to .
    artifact command.output: everything exported
    "#);
    let built = pipeline.build()?;
    let text = |path: &str| built.outputs.text(path).unwrap_or("none");
    assert_eq!(text("dist/upper.txt"), "TEXT\n");
    assert_eq!(text("dist/said.txt"), "hello passed on\n");
    assert_eq!(text("dist/api.txt"), "api\n");
    assert_eq!(text("dist/seen.txt"), "./main.txt\n./tools/upper\n");
    Ok(())
}

#[test]
fn a_program_among_the_sources_and_a_check_without_outputs() -> Result<(), Failed> {
    let check = target(".").setting(
        "command",
        vec!["src/tools/upper", "src/main.txt", "/dev/stdout"],
    );
    let pipeline = pipeline(check);
    assert_snapshot!(pipeline.plan_text()?, @"
    run (test): run src/tools/upper src/main.txt /dev/stdout
      exec project/src/tools/upper src/main.txt /dev/stdout
      working directory project
      in project from the sources below .

    exports go among the sources
    ");
    let built = pipeline.build()?;
    assert!(built.outputs.paths().is_empty());
    assert!(
        built.log.iter().any(|line| line == "TEXT"),
        "{:?}",
        built.log
    );
    Ok(())
}

#[test]
fn a_command_without_inputs_sees_none() -> Result<(), Failed> {
    let target = target("src")
        .setting("script", "ls -A > listing")
        .setting("inputs", json!([]))
        .setting("outputs", vec!["listing"]);
    let built = pipeline(target).build()?;
    assert_eq!(built.outputs.text("listing"), Some("listing\n"));
    Ok(())
}

#[test]
fn a_script_stops_at_the_first_line_that_fails() {
    let fails = [
        ("false\ntouch app", "app"),
        ("echo \"$UNSET\"\ntouch app", "app"),
        ("touch app", "dist/**"),
    ];
    for (script, output) in fails {
        let target = target("src")
            .setting("script", script)
            .setting("outputs", vec![output]);
        assert!(pipeline(target).build().is_err(), "{script}");
    }
}

#[test]
fn synth_check_is_told_of_every_program() {
    let project = synth_core::testkit::TestProject::new().unwrap();
    project.write("src/main.txt", "").unwrap();
    let target = target("src")
        .setting("script", "make")
        .setting("tools", vec!["make", "/opt/node"]);
    let requirements = CommandTarget.requirements(&target, &project);
    let named: Vec<String> = requirements
        .iter()
        .map(|requirement| format!("{} ({})", requirement.tool.program, requirement.purpose))
        .collect();
    assert_eq!(
        named,
        [
            "sh (runs commands)",
            "make (runs commands)",
            "/opt/node (runs commands)"
        ]
    );
}

#[test]
fn scratch_is_no_input_and_may_be_left() -> Result<(), Failed> {
    let target = target("src")
        .setting("command", vec!["true"])
        .setting("scratch", vec!["*.md", "deep/more.txt"]);
    assert_snapshot!(pipeline(target).plan_text()?, @"
    run (test): run true
      exec true
      working directory project/src
      tool true
      in project/src from the sources below src, without **/*.md, deep/more.txt
      scratch project/src/**/*.md, project/src/deep/more.txt

    exports go among the sources
    ");
    Ok(())
}

#[test]
fn what_it_needs_of_the_machine_is_in_the_plan() -> Result<(), Failed> {
    let plain = || target("src");
    let resources = json!({ "cpus": 2, "memory": "4 GiB" });
    let mut shown = String::new();
    for target in [
        plain().setting("command", vec!["make"]),
        plain().setting("command", vec!["cargo", "build"]),
        plain()
            .setting("script", "cargo build")
            .setting("tools", vec!["cargo"]),
        plain()
            .setting("command", vec!["make"])
            .setting("resources", resources),
        plain()
            .setting("command", vec!["make"])
            .setting("jobserver", true),
        plain()
            .setting("command", vec!["make"])
            .setting("jobserver", "named_pipe"),
        plain()
            .setting("command", vec!["cargo"])
            .setting("jobserver", false),
    ] {
        let plan = pipeline(target).plan_text()?;
        let line = |word: &str| {
            let mut lines = plan.lines().map(str::trim);
            lines
                .find(|line| line.starts_with(word))
                .unwrap_or("nothing")
                .to_owned()
        };
        shown += &format!("{}: {}\n", line("exec "), line("resources "));
    }
    assert_snapshot!(shown, @r#"
    exec make: nothing
    exec cargo build: resources jobserver by descriptors
    exec sh -euc "cargo build": nothing
    exec make: resources 2000 thousandths of a processor, 4294967296 bytes
    exec make: resources jobserver by descriptors
    exec make: resources jobserver by named pipe
    exec cargo: nothing
    "#);
    Ok(())
}
