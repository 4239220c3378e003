//! Plugins that misbehave when they are called: each costs its own target and nothing else, and the
//! message names the plugin and its version.

use crate::plugin_fixtures::{broken_pipeline, build_broken, build_with, directory_with};
use crate::workspace::{Run, Workspace, assert_run};

/// Builds with the plugin that fails as it is told; it has two seconds to answer.
#[track_caller]
fn build_with_fault(fault: &str) -> Run {
    let workspace = broken_pipeline("faults", &format!("fault = \"{fault}\"\n"));
    workspace.append(
        "synth.toml",
        "\n[plugins]\nfaults = { version = \"1\", timeout_seconds = 2, memory_mb = 1024 }\n",
    );
    directory_with(&workspace, &["faults"]);
    build_broken(&workspace)
}

#[test]
fn a_plugin_that_answers_with_no_message() {
    assert_run!(build_with("invalid-message"), @r#"
    exit code: 70
    ----- stderr -----
    error[plugin.message]: what plugin `synth-target-invalid-message 1.4.0` says to `describe` is not understood
     --> synth.toml:4:8
      |
    4 | type = "invalid-message"
      |        ^^^^^^^^^^^^^^^^^
      |
      = note: the message is not of the expected shape
      = note: EOF while parsing an object at line 1 column 43
      = help: this is a fault of the plugin: report it to the authors of `synth-target-invalid-message`
    "#);
}

#[test]
fn a_panic_in_describe() {
    assert_run!(build_with("describe-panic"), @r#"
    exit code: 70
    ----- stderr -----
    error[plugin.panic]: plugin `synth-target-describe-panic 1.4.0` panicked in `describe`
     --> synth.toml:4:8
      |
    4 | type = "describe-panic"
      |        ^^^^^^^^^^^^^^^^
      |
      = note: describe met what it did not expect (at describe-panic/src/lib.rs:14)
      = help: this is a fault of the plugin: report it to the authors of `synth-target-describe-panic`
    "#);
}

#[test]
fn a_panic_in_validate() {
    assert_run!(build_with_fault("panic in validate"), @r#"
    exit code: 70
    ----- stderr -----
    error[plugin.panic]: plugin `synth-target-faults 1.4.0` panicked in `validate`
     --> synth.toml:4:8
      |
    4 | type = "faults"
      |        ^^^^^^^^
      |
      = note: validate met what it did not expect (at faults/src/lib.rs:44)
      = help: this is a fault of the plugin: report it to the authors of `synth-target-faults`
    "#);
}

#[test]
fn a_panic_in_plan() {
    assert_run!(build_with_fault("panic in plan"), @r#"
    exit code: 70
    ----- stderr -----
    error[plugin.panic]: plugin `synth-target-faults 1.4.0` panicked in `plan`
     --> synth.toml:4:8
      |
    4 | type = "faults"
      |        ^^^^^^^^
      |
      = note: plan met what it did not expect (at faults/src/lib.rs:53)
      = help: this is a fault of the plugin: report it to the authors of `synth-target-faults`
    "#);
}

#[test]
fn a_panic_in_run() {
    assert_run!(build_with_fault("panic in run"), @r#"
    exit code: 70
    ----- stderr -----
    error[plugin.panic]: plugin `synth-target-faults 1.4.0` panicked in `run`
     |
     = note: run met what it did not expect (at faults/src/lib.rs:128)
     = help: this is a fault of the plugin: report it to the authors of `synth-target-faults`

    broken: last lines of "make a file"
      | 
      | thread '<unnamed>' ([THREAD]) panicked at faults/src/lib.rs:128:31:
      | run met what it did not expect
      | note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
      action: make (build)
      log: .synth/logs/[BUILD]/broken.make.log
    "#);
}

#[test]
fn a_null_dereference_in_plan() {
    assert_run!(build_with_fault("null in plan"), @r#"
    exit code: 70
    ----- stderr -----
    error[plugin.ended]: the process of plugin `synth-target-faults 1.4.0` was ended by signal 11 (SIGSEGV) while it planned
     --> synth.toml:4:8
      |
    4 | type = "faults"
      |        ^^^^^^^^
      |
      = help: this is a fault of the plugin: report it to the authors of `synth-target-faults`
    "#);
}

#[test]
fn a_null_dereference_in_run() {
    assert_run!(build_with_fault("null in run"), @"
    exit code: 70
    ----- stderr -----
    error[plugin.ended]: the process of plugin `synth-target-faults 1.4.0` was ended by signal 11 (SIGSEGV) while it ran
     |
     = help: this is a fault of the plugin: report it to the authors of `synth-target-faults`

      action: make (build)
      log: .synth/logs/[BUILD]/broken.make.log
    ");
}

#[test]
fn an_exit_in_plan() {
    assert_run!(build_with_fault("exit in plan"), @r#"
    exit code: 70
    ----- stderr -----
    error[plugin.ended]: the process of plugin `synth-target-faults 1.4.0` exited with code 0 while it planned
     --> synth.toml:4:8
      |
    4 | type = "faults"
      |        ^^^^^^^^
      |
      = help: this is a fault of the plugin: report it to the authors of `synth-target-faults`
    "#);
}

#[test]
fn an_exit_in_run() {
    assert_run!(build_with_fault("exit in run"), @"
    exit code: 70
    ----- stderr -----
    error[plugin.ended]: the process of plugin `synth-target-faults 1.4.0` exited with code 0 while it ran
     |
     = help: this is a fault of the plugin: report it to the authors of `synth-target-faults`

      action: make (build)
      log: .synth/logs/[BUILD]/broken.make.log
    ");
}

#[test]
fn a_plugin_that_cannot_say_what_to_clean() {
    let workspace = broken_pipeline("describe-panic", "");
    let directory = directory_with(&workspace, &["describe-panic"]);
    let run = workspace.synth([
        "clean".as_ref(),
        "--plugin-dir".as_ref(),
        directory.as_os_str(),
    ]);
    assert_eq!(run.output.status.code(), Some(70), "{run}");
    assert!(run.to_string().contains("panicked in `describe`"), "{run}");
}

#[test]
fn an_endless_loop_in_plan() {
    assert_run!(build_with_fault("loop in plan"), @r#"
    exit code: 70
    ----- stderr -----
    error[plugin.timeout]: plugin `synth-target-faults 1.4.0` gave no answer within [TIME] while it planned
     --> synth.toml:4:8
      |
    4 | type = "faults"
      |        ^^^^^^^^
      |
      = help: this is a fault of the plugin: report it to the authors of `synth-target-faults`
      = help: or allow it more: `timeout_seconds` in `[plugins]`, `faults = { timeout_seconds = .. }`
    "#);
}

#[test]
fn an_endless_loop_in_run() {
    assert_run!(build_with_fault("loop in run"), @"
    exit code: 1
    ----- stderr -----
    error[build.timeout]: `make a file` was ended after [TIME]
     |
     = note: plugin `synth-target-faults 1.4.0` was ended while it ran
     = note: it was not done after [TIME], and was taken for one that hangs
     = help: the last lines of its log tell what it waited for; if it only needs longer, raise its time-out, as `timeout_seconds` of the plugin `target-command`

      action: make (build)
      log: .synth/logs/[BUILD]/broken.make.log
    ");
}

#[test]
fn four_gibibytes_in_plan() {
    assert_run!(build_with_fault("memory in plan"), @r#"
    exit code: 70
    ----- stderr -----
    error[plugin.memory]: plugin `synth-target-faults 1.4.0` ran out of memory while it planned: it may have [SIZE]
     --> synth.toml:4:8
      |
    4 | type = "faults"
      |        ^^^^^^^^
      |
      = note: memory allocation of 4294967296 bytes failed
      = help: this is a fault of the plugin: report it to the authors of `synth-target-faults`
      = help: or allow it more: `memory_mb` in `[plugins]`, `faults = { memory_mb = .. }`
    "#);
}

#[test]
fn four_gibibytes_in_run() {
    assert_run!(build_with_fault("memory in run"), @"
    exit code: 70
    ----- stderr -----
    error[plugin.memory]: plugin `synth-target-faults 1.4.0` ran out of memory while it ran: it may have [SIZE]
     |
     = note: memory allocation of 4294967296 bytes failed
     = help: this is a fault of the plugin: report it to the authors of `synth-target-faults`
     = help: or allow it more: `memory_mb` in `[plugins]`, `faults = { memory_mb = .. }`

      action: make (build)
      log: .synth/logs/[BUILD]/broken.make.log
    ");
}

#[test]
fn a_gibibyte_printed() {
    assert_run!(build_with_fault("print in plan"), @r#"
    exit code: 70
    ----- stderr -----
    error[plugin.output]: plugin `synth-target-faults 1.4.0` wrote more than [SIZE] to its log while it planned
     --> synth.toml:4:8
      |
    4 | type = "faults"
      |        ^^^^^^^^
      |
      = help: this is a fault of the plugin: report it to the authors of `synth-target-faults`
    "#);
}

#[test]
fn a_gibibyte_of_log() {
    assert_run!(build_with_fault("log"), @r#"
    exit code: 70
    ----- stderr -----
    error[plugin.output]: plugin `synth-target-faults 1.4.0` wrote more than [SIZE] to its log while it ran
     |
     = help: this is a fault of the plugin: report it to the authors of `synth-target-faults`

    broken: last lines of "make a file"
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      action: make (build)
      log: .synth/logs/[BUILD]/broken.make.log
    "#);
}

#[test]
fn an_output_that_lies_outside() {
    assert_run!(build_with_fault("outside"), @r#"
    exit code: 70
    ----- stderr -----
    error[plan.broken]: the plan of target `broken` can't be carried out
     --> synth.toml:4:8
      |
    4 | type = "faults"
      |        ^^^^^^^^
      |
      = note: it was made by synth-target-faults 1.4.0
      = note: output `made` of `make`: `../outside.txt` leaves the project's directory
      = help: this is a fault of the target kind: report it to its authors
    "#);
}

#[test]
fn a_file_written_outside() {
    assert_run!(build_with_fault("write outside"), @r#"
    exit code: 70
    ----- stderr -----
    error[plugin.panic]: plugin `synth-target-faults 1.4.0` panicked in `run`
     |
     = note: a file is written outside: Os { code: 13, kind: PermissionDenied, message: "Permission denied" } (at faults/src/lib.rs:198)
     = help: this is a fault of the plugin: report it to the authors of `synth-target-faults`

    broken: last lines of "make a file"
      | 
      | thread '<unnamed>' ([THREAD]) panicked at faults/src/lib.rs:198:37:
      | a file is written outside: Os { code: 13, kind: PermissionDenied, message: "Permission denied" }
      | note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
      action: make (build)
      log: .synth/logs/[BUILD]/broken.make.log
    "#);
}

#[test]
fn an_output_that_is_not_there() {
    assert_run!(build_with_fault("nothing made"), @"
    exit code: 1
    ----- stderr -----
    error[execute.output.missing]: `make a file` succeeded but left no file `made.txt`
     |
     = help: check that the command writes there

      action: make (build)
      log: .synth/logs/[BUILD]/broken.make.log
    ");
}

#[test]
fn an_undeclared_file_read_at_plan_time() {
    let workspace = broken_pipeline("faults", "fault = \"undeclared read\"\n");
    let secret = workspace.path("web/index.html");
    workspace.append(
        "synth.toml",
        &format!(
            "\n[targets.broken.environment]\nSECRET = \"{}\"\n",
            secret.display()
        ),
    );
    directory_with(&workspace, &["faults"]);
    assert_run!(build_broken(&workspace), @r#"
    exit code: 70
    ----- stderr -----
    error[plugin.panic]: plugin `synth-target-faults 1.4.0` panicked in `plan`
     --> synth.toml:4:8
      |
    4 | type = "faults"
      |        ^^^^^^^^
      |
      = note: a file is read that nobody was asked for: Os { code: 13, kind: PermissionDenied, message: "Permission denied" } (at faults/src/lib.rs:192)
      = help: this is a fault of the plugin: report it to the authors of `synth-target-faults`
    "#);
}

/// What a plugin that behaves does, in a process of its own and in synth's. It does not know how to
/// prepare several targets with one call, as one of an older version would not.
#[test]
fn a_plugin_of_a_newer_minor_version_is_used_with_what_both_know() {
    for isolation in ["process", "none"] {
        let workspace = Workspace::with_files([(
            "synth.toml",
            format!(
                "[plugins]\nnewer-minor = {{ isolation = \"{isolation}\" }}\n\n\
                 [targets.made]\ntype = \"newer-minor\"\n\n\
                 [targets.too]\ntype = \"newer-minor\"\n\n\
                 [targets.three]\ntype = \"newer-minor\"\n"
            ),
        )]);
        let directory = directory_with(&workspace, &["newer-minor"]);
        let run = workspace.synth([
            "build".as_ref(),
            "--plugin-dir".as_ref(),
            directory.as_os_str(),
        ]);
        run.succeeded();
        for target in ["made", "too", "three"] {
            let made = workspace.read(&format!("dist/{target}/made.txt"));
            assert_eq!(made, "made\n");
        }
    }
}

/// A target that is built beside one whose plugin crashes again and again loses nothing.
#[test]
fn targets_of_one_plugin_fail_apart() {
    let faults = [
        "null in plan",
        "none",
        "exit in run",
        "no",
        "loop in run",
        "nothing",
    ];
    let mut config = String::from("failure_strategy = \"continue\"\n");
    for (index, fault) in faults.iter().enumerate() {
        config.push_str(&format!(
            "\n[targets.t{index}]\ntype = \"faults\"\nfault = \"{fault}\"\n"
        ));
    }
    let workspace = Workspace::with_files([("synth.toml", config)]);
    let directory = directory_with(&workspace, &["faults"]);
    let directory = directory.to_str().unwrap();
    let report = workspace.build(["--plugin-dir", directory, "-j4"]);
    assert_eq!(
        report.statuses(),
        "t0 failed, t1 built, t2 failed, t3 built, t4 failed, t5 built"
    );
    let again = workspace.build(["--plugin-dir", directory, "-j4"]);
    assert_eq!(
        again.statuses(),
        "t0 failed, t1 up_to_date, t2 failed, t3 up_to_date, t4 failed, t5 up_to_date"
    );
}
