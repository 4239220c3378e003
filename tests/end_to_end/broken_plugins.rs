//! Plugins that misbehave: each costs its own target and nothing else, and the message names the
//! plugin and its version.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::plugin_fixtures::{directory_with, library};
use crate::workspace::{Run, Workspace, assert_run};

/// A pipeline in which one target is of a broken kind, one needs that, and one has nothing to do
/// with it.
fn pipeline(kind: &str, settings: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.write(
        "synth.toml",
        format!(
            "failure_strategy = \"continue\"\n\n\
             [targets.broken]\ntype = \"{kind}\"\n{settings}\n\
             [targets.after]\ntype = \"static\"\nsource_path = \"web\"\nneeds = [\"broken\"]\n\n\
             [targets.site]\ntype = \"static\"\nsource_path = \"web\"\n"
        ),
    );
    workspace.write(
        "web/index.html",
        "<!doctype html><html lang=en><title>Shop</title><p>Open</p></html>",
    );
    workspace
}

/// Builds it, and sees that the target that has nothing to do with the broken one was built.
#[track_caller]
fn build(workspace: &Workspace) -> Run {
    let directory = workspace.beside("plugins");
    let run = workspace.synth([
        "build".as_ref(),
        "-j1".as_ref(),
        "--plugin-dir".as_ref(),
        directory.as_os_str(),
    ]);
    assert!(
        workspace.path("dist/site/index.html").is_file(),
        "the other target was not built: {run}"
    );
    assert!(!workspace.path("dist/broken").exists(), "{run}");
    let left = workspace.files(".");
    assert!(
        !left.iter().any(|path| path.contains("outside")),
        "{left:?}"
    );
    run
}

#[track_caller]
fn build_with(fixture: &str) -> Run {
    let workspace = pipeline(fixture, "");
    directory_with(&workspace, &[fixture]);
    build(&workspace)
}

/// Builds with the plugin that fails as it is told; it has two seconds to answer.
#[track_caller]
fn build_with_fault(fault: &str) -> Run {
    let workspace = pipeline("faults", &format!("fault = \"{fault}\"\n"));
    workspace.append(
        "synth.toml",
        "\n[plugins]\nfaults = { version = \"1\", timeout_seconds = 2, memory_mb = 1024 }\n",
    );
    directory_with(&workspace, &["faults"]);
    build(&workspace)
}

/// Builds with a file in the place of a plugin's library.
#[track_caller]
fn build_with_file(contents: &[u8]) -> Run {
    let workspace = pipeline("greet", "");
    let directory = directory_with(&workspace, &[]);
    fs::write(directory.join("libsynth_target_greet.so"), contents).unwrap();
    build(&workspace)
}

#[test]
fn a_file_that_is_no_library() {
    assert_run!(build_with_file(b"#!/bin/sh\necho hello\n"), @"");
}

#[test]
fn a_library_that_was_cut_off() {
    let whole = fs::read(library("faults")).unwrap();
    assert_run!(build_with_file(&whole[..whole.len() / 2]), @"");
}

#[test]
fn a_library_that_is_no_plugin() {
    assert_run!(build_with("no-manifest"), @"");
}

#[test]
fn a_plugin_for_another_machine() {
    assert_run!(build_with("other-architecture"), @"");
}

#[test]
fn a_plugin_of_another_major_version_of_the_interface() {
    assert_run!(build_with("newer-major"), @"");
}

#[test]
fn a_plugin_that_needs_a_newer_minor_version_of_the_interface() {
    assert_run!(build_with("newer-minor-needed"), @"");
}

#[test]
fn a_plugin_with_another_layout_under_the_same_version() {
    assert_run!(build_with("layout"), @"");
}

#[test]
fn a_plugin_that_says_what_its_manifest_does_not() {
    assert_run!(build_with("describe-other"), @"");
}

#[test]
fn a_plugin_that_answers_with_no_message() {
    assert_run!(build_with("invalid-message"), @"");
}

#[test]
fn a_panic_in_describe() {
    assert_run!(build_with("describe-panic"), @"");
}

#[test]
fn a_panic_in_validate() {
    assert_run!(build_with_fault("panic in validate"), @"");
}

#[test]
fn a_panic_in_plan() {
    assert_run!(build_with_fault("panic in plan"), @"");
}

#[test]
fn a_panic_in_run() {
    assert_run!(build_with_fault("panic in run"), @"");
}

#[test]
fn a_null_dereference_in_plan() {
    assert_run!(build_with_fault("null in plan"), @"");
}

#[test]
fn a_null_dereference_in_run() {
    assert_run!(build_with_fault("null in run"), @"");
}

#[test]
fn an_exit_in_plan() {
    assert_run!(build_with_fault("exit in plan"), @"");
}

#[test]
fn an_exit_in_run() {
    assert_run!(build_with_fault("exit in run"), @"");
}

#[test]
fn an_endless_loop_in_plan() {
    assert_run!(build_with_fault("loop in plan"), @"");
}

#[test]
fn an_endless_loop_in_run() {
    assert_run!(build_with_fault("loop in run"), @"");
}

#[test]
fn four_gibibytes_in_plan() {
    assert_run!(build_with_fault("memory in plan"), @"");
}

#[test]
fn four_gibibytes_in_run() {
    assert_run!(build_with_fault("memory in run"), @"");
}

#[test]
fn a_gibibyte_printed() {
    assert_run!(build_with_fault("print in plan"), @"");
}

#[test]
fn a_gibibyte_of_log() {
    assert_run!(build_with_fault("log"), @"");
}

#[test]
fn an_output_that_lies_outside() {
    assert_run!(build_with_fault("outside"), @"");
}

#[test]
fn a_file_written_outside() {
    assert_run!(build_with_fault("write outside"), @"");
}

#[test]
fn an_output_that_is_not_there() {
    assert_run!(build_with_fault("nothing made"), @"");
}

#[test]
fn an_undeclared_file_read_at_plan_time() {
    let workspace = pipeline("faults", "fault = \"undeclared read\"\n");
    let secret = workspace.path("web/index.html");
    workspace.append(
        "synth.toml",
        &format!(
            "\n[targets.broken.environment]\nSECRET = \"{}\"\n",
            secret.display()
        ),
    );
    directory_with(&workspace, &["faults"]);
    assert_run!(build(&workspace), @"");
}

#[test]
fn a_library_that_others_can_write() {
    let workspace = pipeline("faults", "");
    let directory = directory_with(&workspace, &["faults"]);
    let file = directory.join(library("faults").file_name().unwrap());
    fs::set_permissions(file, fs::Permissions::from_mode(0o666)).unwrap();
    assert_run!(build(&workspace), @"");
}

/// What a plugin that behaves does, in a process of its own and in synth's.
#[test]
fn a_plugin_of_a_newer_minor_version_is_used_with_what_both_know() {
    for isolation in ["process", "none"] {
        let workspace = Workspace::with_files([(
            "synth.toml",
            format!(
                "[plugins]\nnewer-minor = {{ isolation = \"{isolation}\" }}\n\n\
                 [targets.made]\ntype = \"newer-minor\"\n"
            ),
        )]);
        let directory = directory_with(&workspace, &["newer-minor"]);
        let run = workspace.synth([
            "build".as_ref(),
            "--plugin-dir".as_ref(),
            directory.as_os_str(),
        ]);
        run.succeeded();
        assert_eq!(workspace.read("dist/made/made.txt"), "made\n");
    }
}

/// A target that is built beside one whose plugin crashes again and again loses nothing.
#[test]
fn targets_of_one_plugin_fail_apart() {
    let faults = ["null in plan", "", "exit in run", "", "loop in run", ""];
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
