//! Failures that pass by themselves are tried again, and what does not pass is not.

use std::fs;

use serde_json::Value;

use crate::soak::pipeline::with_tools;
use crate::workspace::{Run, Workspace, assert_run, text};

/// Counts how often it has begun, in a file beside the project, and leaves its outputs only the
/// third time. What it leaves behind would fail the next time.
const THIRD_TIME: &str = "echo begun >> \"$COUNT\"\n\
    test ! -e left-behind\n\
    touch left-behind\n\
    test $(wc -l < \"$COUNT\") -ge 3 || exit 75\n\
    echo made > out\n";

/// A target of the kind `command` with this script and these lines of its own, that may write beside
/// the project.
fn project(pipeline: &str, script: &str, target: &str) -> Workspace {
    let workspace = with_tools(Workspace::with_files([("src/a.txt", "one\n")]), None);
    let count = workspace.beside("count");
    let config = format!(
        "sandbox = \"off\"\n{pipeline}\n\
         [targets.job]\ntype = \"command\"\nsource_path = \"src\"\noutputs = [\"out\"]\n\
         output_path = \"dist/job\"\nscript = '''\n{script}'''\n\
         environment = {{ COUNT = '{}' }}\n{target}\n",
        count.display()
    );
    workspace.write("synth.toml", config);
    workspace
}

/// How often the script has begun.
fn begun(workspace: &Workspace) -> usize {
    let count = fs::read_to_string(workspace.beside("count"));
    count.unwrap_or_default().lines().count()
}

fn action(report: &Value) -> &Value {
    &report["targets"][0]["actions"][0]
}

const SOON: &str = "initial_delay_seconds = 0.01, jitter = 0";

#[test]
fn an_action_that_fails_twice_and_passes_is_tried_again() {
    let retry = format!("retry = {{ {SOON}, exit_codes = [75] }}");
    let workspace = project("", THIRD_TIME, &retry);
    assert_run!(workspace.synth(["build"]), @"
    exit code: 0
    ----- stdout -----
     target  status  time  actions     artifacts
     job     built   [TIME]  1 executed  dist/job  [SIZE]  [DIGEST]

    1 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start job: run the script
         retry job: run the script: attempt 1 of 3 failed (exit code 75); again in [TIME]
         retry job: run the script: attempt 2 of 3 failed (exit code 75); again in [TIME]
          done job: run the script ([TIME])
         flaky job: run the script passed at attempt 3 only (exit code 75; exit code 75)
    ");
    assert_eq!(begun(&workspace), 3);
    assert_eq!(workspace.read("dist/job/out"), "made\n");
}

#[test]
fn attempts_are_in_the_report_and_the_log() {
    let retry = format!("retry = {{ {SOON}, multiplier = 3, exit_codes = [75] }}");
    let workspace = project("", THIRD_TIME, &retry);
    let report = workspace.build([""; 0]).succeeded();
    let action = action(&report.value);
    assert_eq!(action["attempts"], 3);
    assert_eq!(action["flaky"], true);
    let retries = action["retries"].as_array().unwrap().iter();
    let retries: Vec<String> = retries
        .map(|retry| {
            let (reason, delay) = (text(&retry["reason"]), &retry["delay_ms"]);
            format!(
                "{}: {reason}, {}, {delay} ms",
                retry["attempt"], retry["exit_code"]
            )
        })
        .collect();
    assert_eq!(
        retries,
        ["1: exit code 75, 75, 10 ms", "2: exit code 75, 75, 30 ms"]
    );
    let log = workspace.read(text(&action["log"]));
    insta::assert_snapshot!(log, @"
    [attempt 1 of 3 failed (exit code 75); the next one begins in 0.01 s]
    [attempt 2 of 3 failed (exit code 75); the next one begins in 0.03 s]
    ");

    // From the cache, it is an action like any other.
    workspace.append("synth.toml", "\n");
    let report = workspace.build([""; 0]).succeeded();
    assert_eq!(
        report.value["targets"][0]["actions"][0]["flaky"],
        Value::Null
    );
}

#[test]
fn the_last_failure_stands_when_the_attempts_are_used_up() {
    let retry = format!("retry = {{ attempts = 2, {SOON}, exit_codes = [75] }}");
    let workspace = project("", THIRD_TIME, &retry);
    assert_run!(workspace.synth(["build"]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     job     failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start job: run the script
         retry job: run the script: attempt 1 of 2 failed (exit code 75); again in [TIME]
        failed job: run the script ([TIME])
    error[build.failed]: `run the script` failed with exit code 75
     |
     = note: it was tried 2 times

    job: last lines of "run the script"
      | [attempt 1 of 2 failed (exit code 75); the next one begins in [TIME]]
      action: run (build)
      command: cd project/src && env COUNT=[WORKSPACE]/count /usr/bin/sh -euc 'echo begun >> "$COUNT"
    test ! -e left-behind
    touch left-behind
    test $(wc -l < "$COUNT") -ge 3 || exit 75
    echo made > out
    '
      log: .synth/logs/[BUILD]/job.run.log
    "#);
    assert_eq!(begun(&workspace), 2);
}

#[test]
fn a_compile_error_is_not_tried_again() {
    let script = "echo begun >> \"$COUNT\"\ncc -c -o out a.c\n";
    let pipeline = format!("retry = {{ attempts = 5, {SOON} }}");
    for target in [
        "",
        "network = true",
        "retry = { patterns = ['connection lost'] }",
    ] {
        let workspace = project(&pipeline, script, target);
        workspace.write("src/a.c", "int main(void) { return 0 }\n");
        let report = workspace.build([""; 0]);
        assert_eq!(report.code, Some(1), "{target}");
        assert_eq!(begun(&workspace), 1, "{target}");
        assert_eq!(action(&report.value)["attempts"], 1);
        assert_eq!(action(&report.value)["trouble"], "compile");
    }
}

#[test]
fn trouble_of_the_network_passes_where_retries_are_asked_for() {
    let script = "echo begun >> \"$COUNT\"\ncurl --silent --show-error http://127.0.0.1:1/ > out\n";
    for (target, expected) in [
        ("network = true", 1),
        (
            "network = true\nretry = { attempts = 2, initial_delay_seconds = 0 }",
            2,
        ),
        ("retry = { attempts = 2, initial_delay_seconds = 0 }", 1),
    ] {
        let workspace = project("", script, target);
        let report = workspace.build([""; 0]);
        assert_eq!(report.code, Some(1), "{target}");
        assert_eq!(begun(&workspace), expected, "{target}");
        assert_eq!(action(&report.value)["trouble"], "network.refused");
    }
}

#[test]
fn what_a_kind_fetches_is_tried_again_without_being_asked_to() {
    let install = "echo begun >> \"$COUNT\"\n\
        if test $(wc -l < \"$COUNT\") -lt 2; then echo npm error code ECONNRESET; exit 1; fi\n\
        mkdir packages; echo 1 > packages/one\n";
    let workspace = Workspace::with_files([
        ("web/install.sh", install),
        (
            "web/build.sh",
            "mkdir out; echo '<!doctype html><html lang=en><title>Shop</title>' > out/index.html\n",
        ),
    ]);
    let count = workspace.beside("count");
    workspace.write(
        "synth.toml",
        format!(
            "sandbox = \"off\"\nretry = {{ initial_delay_seconds = 0 }}\n\
             [targets.site]\ntype = \"static\"\nsource_path = \"web\"\n\
             install_command = \"sh install.sh\"\ninstall_outputs = [\"packages\"]\n\
             build_command = \"sh build.sh\"\nbuild_output = \"out\"\n\
             environment = {{ COUNT = '{}' }}\n",
            count.display()
        ),
    );
    let report = workspace.build([""; 0]).succeeded();
    let install = &report.target("site")["actions"][0];
    assert_eq!(install["id"], "install");
    assert_eq!(install["retries"][0]["reason"], "the connection was lost");
    assert_eq!(begun(&workspace), 2);
}

#[test]
fn time_that_was_up_passes_only_where_that_is_said() {
    let script = "echo begun >> \"$COUNT\"\ntail -f /dev/null\n";
    for (retry, expected) in [("attempts = 2", 1), ("attempts = 2, timeouts = true", 2)] {
        let target =
            format!("timeout_seconds = 1\nretry = {{ {retry}, {SOON}, exit_codes = [75] }}");
        let workspace = project("", script, &target);
        assert_eq!(workspace.build([""; 0]).code, Some(1));
        assert_eq!(begun(&workspace), expected, "{retry}");
    }
}

fn check(retry: &str) -> Run {
    let workspace = project("", "echo made > out\n", retry);
    workspace.synth(["build", "--quiet"])
}

#[test]
fn wrong_settings_are_shown_at_their_places() {
    assert_run!(
        check("retry = { attempts = 0, multiplier = 0.5, jitter = 2, exit_codes = [0, 256], patterns = ['('], initial_delay_seconds = 5, maximum_delay_seconds = 1 }"),
        @"
    exit code: 2
    ----- stderr -----
    error[config.value]: `retry.attempts` of target `job` is 0; the least is 1
      --> synth.toml:12:22
       |
    12 | retry = { attempts = 0, multiplier = 0.5, jitter = 2, exit_codes = [0, 256], patterns = ['('], initial_delay_seconds = 5, maximum_de...
       |                      ^

    error[config.value]: `retry.multiplier` of target `job` is 0.5; the least is 1
      --> synth.toml:12:38
       |
    12 | retry = { attempts = 0, multiplier = 0.5, jitter = 2, exit_codes = [0, 256], patterns = ['('], initial_delay_seconds = 5, maximum_de...
       |                                      ^^^

    error[config.value]: `retry.jitter` of target `job` is 2; the most is 1
      --> synth.toml:12:52
       |
    12 | retry = { attempts = 0, multiplier = 0.5, jitter = 2, exit_codes = [0, 256], patterns = ['('], initial_delay_seconds = 5, maximum_de...
       |                                                    ^

    error[config.value]: `retry.exit_codes.0` of target `job` is 0; the least is 1
      --> synth.toml:12:69
       |
    12 | retry = { attempts = 0, multiplier = 0.5, jitter = 2, exit_codes = [0, 256], patterns = ['('], initial_delay_seconds = 5, maximum_de...
       |                                                                     ^

    error[config.value]: `retry.exit_codes.1` of target `job` is 256; the most is 255
      --> synth.toml:12:72
       |
    12 | retry = { attempts = 0, multiplier = 0.5, jitter = 2, exit_codes = [0, 256], patterns = ['('], initial_delay_seconds = 5, maximum_de...
       |                                                                        ^^^

    error[config.retry.pattern]: `(` of `retry.patterns` of target `job` is no regular expression: unclosed group
      --> synth.toml:12:90
       |
    12 | retry = { attempts = 0, multiplier = 0.5, jitter = 2, exit_codes = [0, 256], patterns = ['('], initial_delay_seconds = 5, maximum_de...
       |                                                                                          ^^^
       |
       = help: the syntax is that of https://docs.rs/regex; in '..' a backslash stands for itself

    error[config.retry.delay]: `retry.initial_delay_seconds` of target `job` is longer than `maximum_delay_seconds`
      --> synth.toml:12:120
       |
    12 | retry = { attempts = 0, multiplier = 0.5, jitter = 2, exit_codes = [0, 256], patterns = ['('], initial_delay_seconds = 5, maximum_de...
       |                                                                                                                        ^
       |
       = help: make the first delay shorter, or the longest one longer

    7 errors
    "
    );
    assert_run!(check("retry = { attempt = 3 }"), @"
    exit code: 2
    ----- stderr -----
    error[config.unknown_key]: `retry` of target `job` has an unknown key `attempt`
      --> synth.toml:12:11
       |
    12 | retry = { attempt = 3 }
       |           ^^^^^^^
       |
       = help: did you mean `attempts`?
    ");
    assert_run!(check("retry = { jitter = -1 }"), @"
    exit code: 2
    ----- stderr -----
    error[config.value]: `retry.jitter` of target `job` is -1; the least is 0
      --> synth.toml:12:20
       |
    12 | retry = { jitter = -1 }
       |                    ^^
    ");
    assert_run!(project("", "echo made > out\n", "retry = { attempts = 3 }").synth(["build"]), @r#"
    exit code: 0
    ----- stdout -----
     target  status  time  actions     artifacts
     job     built   [TIME]  1 executed  dist/job  [SIZE]  [DIGEST]

    1 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start job: run the script
          done job: run the script ([TIME])
    warning[config.retry.nothing]: `retry` changes nothing: of no failure of target `job` it is known that it passes by itself
      --> synth.toml:12:9
       |
    12 | retry = { attempts = 3 }
       |         ^^^^^^^^^^^^^^^^
       |
       = help: say which do: `exit_codes = [75]`, or `patterns = ["connection lost"]` for what is printed
    "#);
    assert_run!(check("retry = 3"), @"
    exit code: 2
    ----- stderr -----
    error[config.type]: `retry` of target `job` is a number, but a table was expected
      --> synth.toml:12:9
       |
    12 | retry = 3
       |         ^
    ");
}
