//! Libraries that can't be used as plugins: each costs the targets of its kind and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::plugin_fixtures::{broken_pipeline, build_broken, build_with, directory_with, library};
use crate::workspace::{Run, assert_run};

/// Builds with a file in the place of a plugin's library.
#[track_caller]
fn build_with_file(contents: &[u8]) -> Run {
    let workspace = broken_pipeline("greet", "");
    let directory = directory_with(&workspace, &[]);
    fs::write(directory.join("libsynth_target_greet.so"), contents).unwrap();
    build_broken(&workspace)
}

#[test]
fn a_file_that_is_no_library() {
    assert_run!(build_with_file(b"#!/bin/sh\necho hello\n"), @r#"
    exit code: 3
    ----- stderr -----
    error[plugin.not_a_library]: `[WORKSPACE]/plugins/libsynth_target_greet.so` can't be used as a plugin
     --> synth.toml:4:8
      |
    4 | type = "greet"
      |        ^^^^^^^
      |
      = note: it is no shared library, or was cut off: Unknown file magic
      = help: remove it, or install the plugin again
    "#);
}

#[test]
fn a_library_that_was_cut_off() {
    let whole = fs::read(library("faults")).unwrap();
    assert_run!(build_with_file(&whole[..whole.len() / 2]), @r#"
    exit code: 3
    ----- stderr -----
    error[plugin.not_a_library]: `[WORKSPACE]/plugins/libsynth_target_greet.so` can't be used as a plugin
     --> synth.toml:4:8
      |
    4 | type = "greet"
      |        ^^^^^^^
      |
      = note: it is no shared library, or was cut off: Invalid ELF section header offset/size/alignment
      = help: remove it, or install the plugin again
    "#);
}

#[test]
fn a_library_that_is_no_plugin() {
    assert_run!(build_with("no-manifest"), @r#"
    exit code: 3
    ----- stderr -----
    error[plugin.no_manifest]: `[WORKSPACE]/plugins/libsynth_target_no_manifest.so` can't be used as a plugin
     --> synth.toml:4:8
      |
    4 | type = "no-manifest"
      |        ^^^^^^^^^^^^^
      |
      = note: it is a library without a synth manifest
      = help: a plugin is a `cdylib` with `synth_core::export_target!` in it; remove the file if it is none
    "#);
}

#[test]
fn a_plugin_for_another_machine() {
    assert_run!(build_with("other-architecture"), @r#"
    exit code: 3
    ----- stderr -----
    error[plugin.architecture]: plugin `synth-target-other-architecture 1.4.0` can't be used
     --> synth.toml:4:8
      |
    4 | type = "other-architecture"
      |        ^^^^^^^^^^^^^^^^^^^^
      |
      = note: it was built for `riscv64gc-unknown-linux-gnu`, and this synth is for `x86_64-unknown-linux-gnu`
      = note: its library is `[WORKSPACE]/plugins/libsynth_target_other_architecture.so`
      = help: install it on this machine, from its sources
    "#);
}

#[test]
fn a_plugin_of_another_major_version_of_the_interface() {
    assert_run!(build_with("newer-major"), @r#"
    exit code: 3
    ----- stderr -----
    error[plugin.interface]: plugin `synth-target-newer-major 1.4.0` can't be used
     --> synth.toml:4:8
      |
    4 | type = "newer-major"
      |        ^^^^^^^^^^^^^
      |
      = note: it was built with interface 1.0.0, and this synth speaks 0.2.0
      = note: its library is `[WORKSPACE]/plugins/libsynth_target_newer_major.so`
      = help: install a version of the plugin for this synth, or another synth
    "#);
}

#[test]
fn a_plugin_that_needs_a_newer_minor_version_of_the_interface() {
    assert_run!(build_with("newer-minor-needed"), @r#"
    exit code: 3
    ----- stderr -----
    error[plugin.interface]: plugin `synth-target-newer-minor-needed 1.4.0` can't be used
     --> synth.toml:4:8
      |
    4 | type = "newer-minor-needed"
      |        ^^^^^^^^^^^^^^^^^^^^
      |
      = note: it was built with interface 0.9.0 and needs 0.9.0, and this synth speaks 0.2.0
      = note: its library is `[WORKSPACE]/plugins/libsynth_target_newer_minor_needed.so`
      = help: update synth, or install an older version of the plugin
    "#);
}

#[test]
fn a_plugin_with_another_layout_under_the_same_version() {
    assert_run!(build_with("layout"), @r#"
    exit code: 3
    ----- stderr -----
    error[plugin.open]: plugin `synth-target-layout 1.4.0` can't be opened
     --> synth.toml:4:8
      |
    4 | type = "layout"
      |        ^^^^^^^^
      |
      = note: its types are not laid out as this synth's are
      = help: install it again, built for this synth: `[WORKSPACE]/plugins/libsynth_target_layout.so`
    "#);
}

#[test]
fn a_plugin_that_says_what_its_manifest_does_not() {
    assert_run!(build_with("describe-other"), @r#"
    exit code: 3
    ----- stderr -----
    error[plugin.describe]: plugin `synth-target-describe-other 1.4.0` is not what its manifest says
     --> synth.toml:4:8
      |
    4 | type = "describe-other"
      |        ^^^^^^^^^^^^^^^^
      |
      = note: the manifest says kind `describe-other` of synth-target-describe-other 1.4.0, the library kind `describe-other-by-now` of synth-target-describe-other 1.4.0
      = help: its authors bring `synth-target.json` up to date with the conformance test of the test kit
    "#);
}

#[test]
fn a_library_that_others_can_write() {
    let workspace = broken_pipeline("faults", "");
    let directory = directory_with(&workspace, &["faults"]);
    let file = directory.join(library("faults").file_name().unwrap());
    fs::set_permissions(file, fs::Permissions::from_mode(0o666)).unwrap();
    assert_run!(build_broken(&workspace), @r#"
    exit code: 3
    ----- stderr -----
    error[plugin.insecure]: everybody can write to `[WORKSPACE]/plugins/libsynth_target_faults.so`: this plugin is not used
     --> synth.toml:4:8
      |
    4 | type = "faults"
      |        ^^^^^^^^
      |
      = help: if you trust what is there: `chmod o-w [WORKSPACE]/plugins/libsynth_target_faults.so`
    "#);
}
