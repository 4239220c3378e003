//! What users are told of tables that make no command.

use insta::assert_snapshot;
use serde_json::json;
use synth_core::testkit::TestPipeline;
use synth_core::{Diagnostic, Place, ProjectPath, Severity, TargetSpec};
use synth_target_command::CommandTarget;

fn pipeline() -> TestPipeline {
    let source_path = ProjectPath::parse("src").unwrap_or_default();
    TestPipeline::new(CommandTarget)
        .file("src/main.c", "")
        .file("src/lib/a.c", "")
        .program("src/build.sh", "")
        .target(TargetSpec::new("app", "command", source_path))
}

/// A command that is right in everything.
fn sound() -> TestPipeline {
    pipeline().setting("command", vec!["sh", "build.sh"])
}

fn shown(problem: &Diagnostic) -> String {
    let place = match &problem.place {
        Some(Place::Setting { path }) => path.join("."),
        other => format!("{other:?}"),
    };
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let help: Vec<String> = problem
        .help
        .iter()
        .map(|help| format!("\n    {help}"))
        .collect();
    let Diagnostic { code, message, .. } = problem;
    format!("{severity} {code} at `{place}`: {message}{}", help.concat())
}

fn problems(pipelines: impl IntoIterator<Item = TestPipeline>) -> String {
    let pipelines = pipelines.into_iter();
    let told: Vec<String> = pipelines
        .map(|pipeline| {
            let mut problems = pipeline.validate();
            if !problems.iter().any(Diagnostic::is_error)
                && let Err(failed) = pipeline.plan()
            {
                problems.extend(failed.diagnostics);
            }
            match problems.as_slice() {
                [] => "nothing".to_owned(),
                problems => problems.iter().map(shown).collect::<Vec<_>>().join("\n"),
            }
        })
        .collect();
    told.join("\n")
}

#[test]
fn a_table_says_one_thing_to_run() {
    let snapshot = problems([
        pipeline(),
        sound().setting("script", "make"),
        sound().setting("shell", vec!["bash", "-c"]),
        pipeline().setting("command", json!([])),
        pipeline().setting("command", vec![" "]),
        pipeline().setting("command", vec!["sh", "a\0b"]),
        pipeline().setting("script", " \n"),
        pipeline()
            .setting("script", "make")
            .setting("shell", json!([])),
        pipeline().setting("script", "x".repeat(200_000)),
    ]);
    assert_snapshot!(snapshot, @r#"
    error command.none at ``: target `app` has nothing to run
        add `command = ["make"]`, or lines for a shell in `script`
    error command.both at `script`: target `app` has both `command` and `script`
        keep the one that is to run
    error command.shell.unused at `shell`: `shell` is set, but there is no script
        no shell reads `command`: write `script` instead, or leave `shell` out
    error command.empty at `command`: `command` is empty
        name a program and its arguments: `["make", "all"]`
    error command.program at `command.0`: the program has no name
        name a program and its arguments: `["make", "all"]`
    error command.nul at `command.1`: an argument of `command` holds a NUL character
        an argument can't hold one; write such data to a file from a program
    error command.empty at `script`: `script` is empty
        write the lines that a shell is to run
    error command.empty at `shell`: `shell` is empty
        name a program and its arguments: `["make", "all"]`
    error command.script.long at `script`: `script` has 195 KiB, more than a process can be given
        put it into a file below the source directory: `command = ["./build.sh"]`
    "#);
}

#[test]
fn programs_are_looked_for_where_they_are_named() {
    let snapshot = problems([
        pipeline().setting("command", vec!["./build.sh"]),
        pipeline().setting("command", vec!["./bulid.sh"]),
        pipeline().setting("command", vec!["./lib"]),
        pipeline().setting("command", vec!["./"]),
        pipeline().setting("command", vec!["../build.sh"]),
        pipeline().setting("command", vec!["/usr/"]),
        pipeline()
            .setting("command", vec!["./build.sh"])
            .setting("inputs", vec!["*.c"]),
        pipeline()
            .setting("command", vec!["./build.sh"])
            .setting("exclude", vec!["*.sh"]),
        pipeline()
            .setting("command", vec!["./build.sh"])
            .setting("inputs", json!([])),
        pipeline()
            .setting("command", vec!["make all"])
            .without_tool("make all"),
        pipeline()
            .setting("script", "make")
            .setting("shell", vec!["dash", "-c"])
            .without_tool("dash"),
        pipeline().setting("script", "make").without_tool("sh"),
        sound().setting("tools", vec!["node", "./x", ""]),
        sound().setting("tools", vec!["node"]).without_tool("node"),
        sound().setting("command", vec!["sh", "a", "&&", "b"]),
    ]);
    assert_snapshot!(snapshot, @r#"
    nothing
    error command.program at `command.0`: there is no program `bulid.sh` in `src`
        a program on the `PATH` is named without `/`; what another target leaves is reached through `SYNTH_OUT_NAME` in a `script`
    error command.program at `command.0`: `lib` in `src` is a directory
        name the program in it
    error command.program at `command.0`: `./` is the source directory, not a program
    error command.program at `command.0`: `../build.sh` lies outside of the source directory
        set `source_path` to a directory that holds both, and narrow `inputs` down
    error command.program at `command.0`: `/usr/` is a directory, not a program
        name the program in it
    error command.program at `command.0`: the program `build.sh` is not among the inputs
        add it to `inputs`; what `exclude` and `outputs` match is none
    error command.program at `command.0`: the program `build.sh` is not among the inputs
        add it to `inputs`; what `exclude` and `outputs` match is none
    error command.program at `command.0`: the program `build.sh` is not among the inputs
        add it to `inputs`; what `exclude` and `outputs` match is none
    error command.tool.missing at `command.0`: `make all` was not found
        each argument is an element of its own: `["make", "all"]`
        install `make all`, or see that it is on the `PATH`
    error command.tool.missing at `shell.0`: `dash` was not found
        install `dash`, or see that it is on the `PATH`
    error command.tool.missing at `script`: `sh` was not found
        install `sh`, or see that it is on the `PATH`
    error command.tools at `tools.1`: `./x` is a path below the source directory
        a program among the sources is an input: name it in `inputs`
    error command.program at `tools.2`: the program has no name
        name a program and its arguments: `["make", "all"]`
    error command.tool.missing at `tools.0`: `node` was not found
        install `node`, or see that it is on the `PATH`
    warning command.shell.word at `command.2`: `&&` is handed to the program: no shell reads `command`
        write the line as a `script`
    "#);
}

#[test]
fn patterns_stay_below_the_sources() {
    let patterns = [
        "",
        ".",
        "/abs/**",
        "../up",
        "a/../../b",
        "~/x",
        "!x",
        ".git/hooks/*",
        "[a",
        "{b",
        "a\0",
    ];
    let snapshot = problems([
        sound().setting("outputs", patterns.to_vec()),
        sound().setting("inputs", vec!["*.sh", "../x"]),
        sound().setting("exclude", vec!["/x"]),
        sound()
            .setting("outputs", vec!["app"])
            .setting("artifacts", vec!["**/[z"]),
        sound().setting("outputs", vec!["./**"]),
        sound().setting("outputs", vec!["*"]),
        sound().setting("outputs", vec!["long".repeat(500)]),
    ]);
    assert_snapshot!(snapshot, @r"
    error command.pattern at `outputs.0`: `` of `outputs` names the source directory itself
        patterns are relative to `source_path` and stay below it, such as `dist/**`
    error command.pattern at `outputs.1`: `.` of `outputs` names the source directory itself
        patterns are relative to `source_path` and stay below it, such as `dist/**`
    error command.pattern at `outputs.2`: `/abs/**` of `outputs` is an absolute path
        patterns are relative to `source_path` and stay below it, such as `dist/**`
    error command.pattern at `outputs.3`: `../up` of `outputs` leads out of the source directory
        patterns are relative to `source_path` and stay below it, such as `dist/**`
    error command.pattern at `outputs.4`: `a/../../b` of `outputs` leads out of the source directory
        patterns are relative to `source_path` and stay below it, such as `dist/**`
    error command.pattern at `outputs.5`: `~/x` of `outputs` begins with `~`, which only a shell understands
        patterns are relative to `source_path` and stay below it, such as `dist/**`
    error command.pattern at `outputs.6`: `!x` of `outputs` begins with `!`
        patterns that take files away belong into `exclude`
    error command.pattern at `outputs.7`: `.git/hooks/*` of `outputs` names what is never a source
        data of version control and of synth is neither input nor output
    error command.pattern at `outputs.8`: `[a` of `outputs` is no pattern: unclosed character class; missing ']'
        `*` and `?` stay within a name, `**` spans directories, `{a,b}` and `[a-z]` choose
    error command.pattern at `outputs.9`: `{b` of `outputs` is no pattern: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
        `*` and `?` stay within a name, `**` spans directories, `{a,b}` and `[a-z]` choose
    error command.pattern at `outputs.10`: `a\0` of `outputs` holds a NUL character
        patterns are relative to `source_path` and stay below it, such as `dist/**`
    error command.pattern at `inputs.1`: `../x` of `inputs` leads out of the source directory
        patterns are relative to `source_path` and stay below it, such as `dist/**`
    error command.pattern at `exclude.0`: `/x` of `exclude` is an absolute path
        patterns are relative to `source_path` and stay below it, such as `dist/**`
    error command.pattern at `artifacts.0`: `**/[z` of `artifacts` is no pattern: unclosed character class; missing ']'
        `*` and `?` stay within a name, `**` spans directories, `{a,b}` and `[a-z]` choose
    error command.outputs.everything at `outputs.0`: `./**` of `outputs` leaves nothing to be an input
        name the files or the directory that the command writes, such as `dist/**`
    error command.outputs.everything at `outputs.0`: `*` of `outputs` leaves nothing to be an input
        name the files or the directory that the command writes, such as `dist/**`
    error command.pattern at `outputs.0`: `longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong` of `outputs` is longer than 1024 bytes
        name a directory, or write several patterns
    ");
}

#[test]
fn what_is_read_and_what_is_left_are_apart() {
    let chosen = ProjectPath::parse("out").unwrap_or_default();
    let target = TargetSpec::new(
        "app",
        "command",
        ProjectPath::parse("src").unwrap_or_default(),
    )
    .setting("command", vec!["sh", "build.sh"]);
    let snapshot = problems([
        sound().setting("inputs", vec!["main.c", "nothing/**"]),
        sound().setting("inputs", vec!["nothing/**", "none"]),
        sound()
            .setting("inputs", vec!["./lib/"])
            .setting("outputs", vec!["lib/**"]),
        sound()
            .setting("inputs", vec!["lib/*.c", "main.c"])
            .setting("outputs", vec!["**/*.c"]),
        sound().setting("outputs", vec!["lib/**", "new"]),
        pipeline().target(
            target
                .clone()
                .output_path(chosen.clone())
                .setting("outputs", vec!["lib/**"]),
        ),
        pipeline().target(target.clone().output_path(chosen)),
        sound().setting("artifacts", vec!["app"]),
        pipeline().target(target.dependency("requests")),
    ]);
    assert_snapshot!(snapshot, @"
    warning command.inputs.unmatched at `inputs.1`: no source matches `nothing/**` of `inputs`
        patterns are relative to `source_path`; what other targets leave is no source: name them in `needs`
    error command.inputs.unmatched at `inputs.0`: no source matches `nothing/**` of `inputs`
        patterns are relative to `source_path`; what other targets leave is no source: name them in `needs`
    error command.inputs.unmatched at `inputs.1`: no source matches `none` of `inputs`
        patterns are relative to `source_path`; what other targets leave is no source: name them in `needs`
    error command.overlap at `outputs.0`: `lib/**` is both among `inputs` and among `outputs`
        a file is either read or left: have the command write elsewhere; one that only checks has no outputs
    error command.overlap at `inputs.0`: all that `lib/*.c` of `inputs` matches is among `outputs`
        a file is either read or left: have the command write elsewhere; one that only checks has no outputs
    error command.overlap at `inputs.1`: all that `main.c` of `inputs` matches is among `outputs`
        a file is either read or left: have the command write elsewhere; one that only checks has no outputs
    warning command.outputs.present at `outputs`: `outputs` of target `app` match files that synth did not write: `lib/a.c` and 1 more
        they count as outputs and not as sources, and are replaced by nothing but the same bytes: remove them, or move them away
    warning command.outputs.present at `outputs`: `outputs` of target `app` match files that synth did not write: `lib/a.c`
        they count as outputs and not as sources, and are replaced by nothing but the same bytes: remove them, or move them away
    nothing
    warning command.unused at `output_path`: `output_path` has no effect without `outputs`
        say in `outputs` what the command leaves
    warning command.unused at `artifacts`: `artifacts` has no effect without `outputs`
        say in `outputs` what the command leaves
    warning command.unused at `dependencies`: a command installs no packages: `dependencies` has no effect
        targets that it uses are named in `needs`, programs in `tools`
    ");
}

#[test]
fn variables_and_times_make_sense() {
    let snapshot = problems([
        sound().setting(
            "pass_environment",
            vec!["CI", "NPM_*", "*", "", "A=b", "A*B"],
        ),
        sound().setting("timeout_seconds", 0),
    ]);
    assert_snapshot!(snapshot, @"
    error command.variable at `pass_environment.3`: an empty text can't be a variable's name
        name variables, not values; only the last character may be `*`
    error command.variable at `pass_environment.4`: `A=b` can't be a variable's name
        name variables, not values; only the last character may be `*`
    error command.variable at `pass_environment.5`: `A*B` can't be a variable's name
        name variables, not values; only the last character may be `*`
    error command.timeout at `timeout_seconds`: `timeout_seconds` is 0, which leaves no time
        leave it out for an hour
    ");
}

#[test]
fn scratch_is_patterns_below_the_sources_and_few() {
    let scratch = |patterns: Vec<String>| sound().setting("scratch", patterns);
    assert_snapshot!(problems([
        scratch(vec!["__pycache__".into(), "build/*.log".into()]),
        scratch(vec!["/tmp".into()]),
        scratch(vec!["../up".into()]),
        scratch((0..101).map(|number| number.to_string()).collect()),
    ]), @"
    nothing
    error command.pattern at `scratch.0`: `/tmp` of `scratch` is an absolute path
        patterns are relative to `source_path` and stay below it, such as `dist/**`
    error command.pattern at `scratch.0`: `../up` of `scratch` leads out of the source directory
        patterns are relative to `source_path` and stay below it, such as `dist/**`
    error command.scratch.many at `scratch`: `scratch` has 101 patterns, and 100 are the most
        name directories, or use `*`
    ");
}

#[test]
fn what_it_needs_of_the_machine_is_a_number_of_something() {
    let resources = |value| sound().setting("resources", value);
    let snapshot = problems([
        resources(json!({})),
        resources(json!({ "cpus": 2, "memory": "4 GiB" })),
        resources(json!({ "memory": "1.5GB" })),
        resources(json!({ "cpus": 0 })),
        resources(json!({ "memory": "much" })),
        resources(json!({ "memory": "0 MB", "cpus": 0 })),
        sound().setting("jobserver", true),
        sound().setting("jobserver", "named_pipe"),
    ]);
    assert_snapshot!(snapshot, @"
    nothing
    nothing
    nothing
    error command.resources.cpus at `resources.cpus`: `cpus` of `resources` is 0
        say 1 or more, or leave it out: then it is learned
    error command.resources.memory at `resources.memory`: `memory` of `resources` is no size: `much`
        write a number and a unit, like `4 GiB` or `500 MB`
    error command.resources.cpus at `resources.cpus`: `cpus` of `resources` is 0
        say 1 or more, or leave it out: then it is learned
    error command.resources.memory at `resources.memory`: `memory` of `resources` is no size: `0 MB`
        write a number and a unit, like `4 GiB` or `500 MB`
    nothing
    nothing
    ");
}
