//! What a pipeline gives: outputs, artifacts, logs, and words for what went wrong.

use std::fs;

use super::toy::{Toy, one_action};
use crate::testkit::{Failed, TestPipeline};
use crate::{
    Action, ActionKind, Diagnostic, Exec, InputSource, Native, NativeOutcome, Phase, Plan,
    PlanContext, Process, ProjectPath, ROOT, SourceFiles, TargetSpec, ToolRequest,
};

/// A toy whose one action runs a script with the shell.
fn shell(plan: fn(&TargetSpec, &dyn PlanContext) -> Result<Plan, Vec<Diagnostic>>) -> TestPipeline {
    let toy = Toy {
        plan,
        ..Toy::default()
    };
    toy.pipeline()
}

fn sh(context: &dyn PlanContext, script: &str) -> Action {
    let tool = context
        .tool(&ToolRequest::named("sh").version_arguments([""; 0]))
        .unwrap();
    Action::new(
        "sh",
        Phase::Build,
        "run a script",
        Exec::new(["sh", "-euc", script]),
    )
    .tool(tool)
}

fn failed(result: Result<crate::testkit::Built, Failed>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_native_action_gives_outputs_artifacts_and_a_log() {
    let built = Toy::default().pipeline().build().unwrap();
    assert_eq!(built.outputs.text("out.txt"), Some("Hello Ada\n"));
    assert_eq!(built.log, ["at work"]);
    let artifact = &built.artifacts[0];
    assert_eq!(
        (artifact.kind.as_str(), artifact.path.as_str()),
        ("toy.text", "out.txt")
    );
    assert_eq!(artifact.attributes["greeting"], "Hello");
}

#[test]
fn a_process_sees_its_inputs_and_a_clean_environment() {
    let pipeline = shell(|target, context| {
        let script = "found=$(find . -type f | sort); echo \"$found\" > files; \
            env | cut -d= -f1 | sort > names; \
            cat needs/api/spec; echo $GREETING $TOKEN; [ \"$PWD\" = \"$OUT\" ]; \
            [ \"$SYNTH_OUT_API\" = \"$PWD/needs/api\" ]; test -x run; cat \"$HERE/names.txt\"; \
            readlink link; stat -c %Y names.txt";
        let mut action = sh(context, script)
            .input(
                "",
                InputSource::Source(SourceFiles::below(target.source_path.clone())),
            )
            .input("needs/api", InputSource::Target { name: "api".into() })
            .output_file("names", "names")
            .output_file("files", "files");
        if let ActionKind::Exec(exec) = &mut action.kind {
            *exec = exec
                .clone()
                .variable("GREETING", "hi")
                .variable("OUT", ROOT)
                .variable("HERE", format!("{ROOT}/."))
                .pass(["TOK*"]);
        }
        Ok(Plan::default()
            .action(action)
            .export("sh", "names", "names")
            .export("sh", "files", "files"))
    });
    let built = pipeline
        .program("run", "#!/bin/sh\n")
        .link("link", "names.txt")
        .file(".git/config", "never a source")
        .needed("api", [("spec", "openapi\n")])
        .user_variable("TOKEN", "secret")
        .user_variable("OTHER", "not asked for")
        .build()
        .unwrap();
    insta::assert_snapshot!(built.outputs.text("names").unwrap(), @"
    GREETING
    HERE
    HOME
    LANG
    OUT
    PATH
    PWD
    SOURCE_DATE_EPOCH
    SYNTH_OUT_API
    TMPDIR
    TOKEN
    TZ
    ");
    insta::assert_snapshot!(built.outputs.text("files").unwrap(), @"
    ./names.txt
    ./needs/api/spec
    ./run
    ");
    insta::assert_snapshot!(built.log.join("\n"), @"
    openapi
    hi secret
    Ada
    names.txt
    315532800
    ");
}

#[test]
fn what_a_process_does_wrong_is_told_with_its_log() {
    fn plan(context: &dyn PlanContext, script: &str) -> Result<Plan, Vec<Diagnostic>> {
        let action = sh(context, script)
            .output_file("out", "dir/out")
            .timeout_seconds(1);
        Ok(Plan::default().action(action))
    }
    let nothing = failed(shell(|_, context| plan(context, "echo hi > dir/other")).build());
    insta::assert_snapshot!(nothing, @"
    target `toy` was not built: `sh` failed
    error execute.output.missing: `run a script` succeeded but left no file `dir/out`
      help: there is `dir/other`
    ");
    let code = failed(shell(|_, context| plan(context, "echo one; echo two >&2; exit 3")).build());
    insta::assert_snapshot!(code, @"
    target `toy` was not built: `sh` failed
    error build.failed: `run a script` failed with exit code 3
    | one
    | two
    ");
    let signal = failed(shell(|_, context| plan(context, "kill -9 $$")).build());
    insta::assert_snapshot!(signal, @"
    target `toy` was not built: `sh` failed
    error build.killed: `run a script` was ended by signal 9
    ");
    let endless = failed(shell(|_, context| plan(context, "cat /dev/zero > /dev/null")).build());
    insta::assert_snapshot!(endless, @"
    target `toy` was not built: `sh` failed
    error build.timeout: `run a script` was ended after 1 s
    ");
    let undeclared = failed(
        shell(|_, context| {
            let mut plan = plan(context, "true")?;
            plan.actions[0].tools.clear();
            Ok(plan)
        })
        .build(),
    );
    insta::assert_snapshot!(undeclared, @"
    target `toy` was not built
    error plan.broken: the plan of target `toy` can't be carried out
      because: `sh` runs `sh`, which is none of its tools: find it with `PlanContext::tool` and add it with `Action::tool`
    ");
}

#[test]
fn outputs_by_pattern_are_taken_and_each_pattern_matches() {
    fn plan(context: &dyn PlanContext, patterns: [&str; 2]) -> Result<Plan, Vec<Diagnostic>> {
        let script = "echo a > build/app; mkdir dist; echo b > dist/b.txt; ln -s b.txt dist/link; echo c > c";
        let action = sh(context, script).output_files("all", "", patterns);
        Ok(Plan::default().action(action).export("sh", "all", ""))
    }
    let built = shell(|_, context| plan(context, ["build/app", "dist/**"]))
        .build()
        .unwrap();
    assert_eq!(
        built.outputs.paths(),
        ["build/app", "dist/b.txt", "dist/link"]
    );
    assert_eq!(built.outputs.link("dist/link"), Some("b.txt"));
    let missing = failed(shell(|_, context| plan(context, ["build/app", "*.txt"])).build());
    insta::assert_snapshot!(missing, @"
    target `toy` was not built: `sh` failed
    error execute.output.missing: `run a script` succeeded but left nothing that matches `*.txt`
      help: there is `build/app`, `c`, `dist/b.txt`, `dist/link`
    ");
}

#[test]
fn a_pretended_tool_is_run_where_the_tool_would_be() {
    let pipeline = shell(|target, context| {
        let cc = context
            .tool(&ToolRequest::named("cc"))
            .map_err(|error| vec![Diagnostic::error("toy.cc", error.to_string())])?;
        assert_eq!(cc.version(), Some("13.2.0"));
        let mut plan = one_action(target, Exec::new(["cc", "-o", "out.txt"]));
        plan.actions[0].tools.push(cc);
        Ok(plan)
    });
    let script = "#!/bin/sh\necho compiled > \"$2\"\n";
    let built = pipeline
        .clone()
        .script_tool("cc", "cc 13.2.0", script)
        .build()
        .unwrap();
    assert_eq!(built.outputs.text("out.txt"), Some("compiled\n"));
    let text = pipeline
        .clone()
        .script_tool("cc", "cc 13.2.0", script)
        .plan_text()
        .unwrap();
    insta::assert_snapshot!(text, @"
    toy (build): make a toy
      exec cc -o out.txt
      tool cc
      in . from the sources below ., only names.txt
      out text: file out.txt

    export text of toy to out.txt
    artifact toy.text: *.txt
    ");
    insta::assert_snapshot!(failed(pipeline.without_tool("cc").build()), @"
    target `toy` was not built
    error toy.cc: `cc` was not found
    ");
}

#[test]
fn a_native_action_runs_processes_and_is_cancelled() {
    let toy = Toy {
        plan: |target, context| {
            let mut plan = one_action(target, Native::new("work"));
            let tool = context.tool(&ToolRequest::named("sh").version_arguments([""; 0]));
            plan.actions[0].tools.push(tool.unwrap());
            Ok(plan)
        },
        run: |_, context| {
            context.progress("running");
            let out = context.outputs().join("out.txt");
            let process = Process {
                argv: ["sh", "-c", "echo said; echo ${HOME##*/}; pwd >&2; exit 4"]
                    .map(Into::into)
                    .into(),
                standard_output: Some(out),
                ..Process::default()
            };
            let ended = context.run(&process).map_err(|problem| vec![problem])?;
            assert_eq!(ended.exit_code, Some(4));
            assert_eq!(
                ended.last_output.trim(),
                context.scratch().to_str().unwrap()
            );
            if context.is_cancelled() {
                return Err(vec![Diagnostic::error("toy.stopped", "stopped in between")]);
            }
            Ok(NativeOutcome::quiet())
        },
        ..Toy::default()
    };
    let built = toy.pipeline().build().unwrap();
    assert_eq!(built.outputs.text("out.txt"), Some("said\nhome\n"));
    assert_eq!(built.progress, ["running"]);
    assert_eq!(built.log.len(), 1);
    let stopped = toy.pipeline().cancel_after(0).build().unwrap_err();
    let codes: Vec<&str> = stopped
        .diagnostics
        .iter()
        .map(|problem| problem.code.as_str())
        .collect();
    assert_eq!(codes, ["execute.cancelled", "toy.stopped"]);
    assert!(toy.pipeline().cancel_after(1).build().is_ok());
}

#[test]
fn what_is_wrong_with_a_native_action_or_a_pipeline_is_told() {
    let with_run = |run| {
        Toy {
            run,
            ..Toy::default()
        }
        .pipeline()
        .build()
    };
    insta::assert_snapshot!(failed(with_run(|_, _| Ok(NativeOutcome::quiet()))), @"
    target `toy` was not built: `toy` failed
    error execute.output.missing: `make a toy` succeeded but left no file `out.txt`
      help: there are no files in its directory
    ");
    let error = |_: &Native, _: &dyn crate::RunContext| {
        let mut outcome = NativeOutcome::quiet();
        outcome
            .diagnostics
            .push(Diagnostic::error("toy.bad", "it is bad"));
        Ok(outcome)
    };
    insta::assert_snapshot!(failed(with_run(error)), @"
    target `toy` was not built: `toy` failed
    error toy.bad: it is bad
    ");
    let panicking = with_run(|_, context| {
        fs::write(context.outputs().join("out.txt"), "").unwrap();
        context.log("so far");
        panic!("no more")
    });
    insta::with_settings!({filters => vec![(r"\.rs:\d+", ".rs:LINE")]}, {
        insta::assert_snapshot!(failed(panicking), @"
        target `toy` was not built: `toy` failed
        error internal.panic: `make a toy` panicked
          because: crates/core/src/testkit/tests/building.rs:LINE: no more
          help: give a diagnostic back instead: `Err(vec![Diagnostic::error(..)])`
        | so far
        ");
    });
    let needing = Toy::default().pipeline();
    let target = needing.target.clone().need("api");
    insta::assert_snapshot!(failed(needing.target(target).build()), @"
    target `toy` was not built
    error config.needs: target `toy` needs `api`, which is not there
      help: add it with `TestPipeline::needed` or `TestPipeline::with`
    ");
    let two = Toy::default()
        .pipeline()
        .file("names.txt", "others")
        .file("/etc/x", "");
    insta::assert_snapshot!(failed(two.build()), @"
    target `toy` was not built
    error testkit.file: the test's file `names.txt` can't be: two different things meet at `names.txt`
    ");
}

#[test]
fn real_targets_are_built_before_those_that_need_them() {
    let second = Toy {
        plan: |target, _| {
            let mut plan = one_action(target, Native::new("second"));
            let name = "first".into();
            plan.actions[0].inputs[0].from = InputSource::Target { name };
            Ok(plan)
        },
        run: |_, context| {
            let first = fs::read(context.inputs().join("out.txt")).unwrap();
            fs::write(
                context.outputs().join("out.txt"),
                [first, b"twice".into()].concat(),
            )
            .unwrap();
            Ok(NativeOutcome::quiet())
        },
        ..Toy::default()
    };
    let target = |name| TargetSpec::new(name, "toy", ProjectPath::root());
    let built = second
        .pipeline()
        .target(target("second").need("first"))
        .with(Toy::default(), target("first").setting("greeting", "Hi"))
        .build()
        .unwrap();
    assert_eq!(built.outputs.text("out.txt"), Some("Hi Ada\ntwice"));
}

#[test]
fn an_unsound_plan_is_not_carried_out() {
    let toy = Toy {
        plan: |target, _| {
            let mut plan = one_action(target, Exec::new(["/usr/bin/env", "a\0b"]));
            let action = &mut plan.actions[0];
            action.outputs.push(action.outputs[0].clone());
            let outside = action
                .clone()
                .output_file("text", "../out")
                .after("nobody")
                .after("toy");
            let other = Action::new("other", Phase::Test, "other", Exec::default())
                .input_from("/x", "toy", "nothing")
                .input("y", InputSource::Target { name: "api".into() })
                .output_directory("a", "dist")
                .output_file("b", "dist/b")
                .timeout_seconds(0);
            let sources = SourceFiles::below(ProjectPath::root()).include(["[a"]);
            Ok(plan
                .action(outside.input("", InputSource::Source(sources)))
                .action(other)
                .export("toy", "gone", "..")
                .artifact("toy.bad", "{a"))
        },
        ..Toy::default()
    };
    insta::assert_snapshot!(failed(toy.pipeline().build()), @"
    target `toy` was not built
    error plan.broken: the plan of target `toy` can't be carried out
      because: `toy` has two outputs `text`
      because: two actions are called `toy`
      because: `toy` leaves its outputs `text` and `text` in one place: `out.txt`
      because: `toy` runs `/usr/bin/env`, which nothing declares: find it with `PlanContext::tool` and add it with `Action::tool`
      because: `toy` has an argument with a NUL byte
      because: `toy` comes after `nobody`, which is not there
      because: `toy` takes `[a` is not a valid pattern: unclosed character class; missing ']'
      because: `toy` has an output at a wrong place: `../out` leaves the project's directory
      because: `other` has an input at a wrong place: `/x` is an absolute path; a path relative to synth.toml was expected
      because: `other` takes the output `nothing` of `toy`, which no action declares
      because: `other` takes the outputs of target `api`, which the target does not need
      because: `other` leaves its outputs `a` and `b` in one place: `dist/b`
      because: `other` has no program: its argument vector is empty
      because: `other` has a timeout of 0 s, after which it is ended
      because: `toy` waits for itself
      because: it exports the output `gone` of `toy`, which no action declares
      because: it exports to a wrong place: `..` leaves the project's directory
      because: its artifacts `toy.bad`: `{a` is not a valid pattern: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
    ");
}
