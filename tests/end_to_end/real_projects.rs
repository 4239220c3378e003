//! Source distributions that many people install: `synth init`, `synth build`, no edit, and the
//! same files in wheel and source distribution as `uv build` makes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::workspace::{Workspace, from_set_up, text};

#[test]
fn attrs_is_built_as_uv_builds_it() {
    check("attrs", &["attr", "attrs"]);
}

#[test]
fn click_is_built_as_uv_builds_it() {
    check("click", &["click"]);
}

#[test]
fn flask_is_built_as_uv_builds_it() {
    check("flask", &["flask"]);
}

#[test]
fn httpx_is_built_as_uv_builds_it() {
    check("httpx", &["httpx"]);
}

#[test]
fn requests_is_built_as_uv_builds_it() {
    check("requests", &["requests"]);
}

#[test]
fn rich_is_built_as_uv_builds_it() {
    check("rich", &["rich"]);
}

fn check(project: &str, modules: &[&str]) {
    let ours = unpacked(project);
    ours.synth(["init"]).succeeded();
    let report = ours.build([""; 0]).succeeded();
    let built = &report.target(project)["artifacts"];
    let artifact = |kind: &str| {
        let mut artifacts = built.as_array().unwrap().iter();
        let found = artifacts.find(|artifact| artifact["kind"] == kind);
        let found = found.unwrap_or_else(|| panic!("no {kind} in {built}"));
        ours.path(text(&found["path"]))
    };
    let (wheel, source) = (artifact("python.wheel"), artifact("python.sdist"));

    let theirs = unpacked(project);
    // Not in the project, where a source distribution would carry it.
    theirs.run("uv", ["build", "--quiet", "--out-dir", "../out"]);
    assert_same(
        &in_wheel(&wheel),
        &in_wheel(&theirs.only_file("../out", ".whl")),
    );
    assert_same(
        &in_source(&source),
        &in_source(&theirs.only_file("../out", ".tar.gz")),
    );

    ours.run("uv", ["venv", "--quiet", "installed"]);
    let python = ours.path("installed/bin/python");
    let install = ["pip", "install", "--quiet", "--python"].map(PathBuf::from);
    ours.run("uv", install.iter().chain([&python, &wheel]));
    ours.run(&python, ["-c", &format!("import {}", modules.join(", "))]);
}

#[track_caller]
fn assert_same(ours: &BTreeSet<String>, theirs: &BTreeSet<String>) {
    let only_ours: Vec<_> = ours.difference(theirs).collect();
    let only_theirs: Vec<_> = theirs.difference(ours).collect();
    assert!(
        !ours.is_empty() && ours == theirs,
        "only in ours: {only_ours:?}\nonly in uv's: {only_theirs:?}"
    );
}

fn unpacked(project: &str) -> Workspace {
    let workspace = Workspace::new();
    let directory = PathBuf::from(from_set_up("SYNTH_TEST_SOURCE_DISTRIBUTIONS"));
    let archive = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(&format!("{project}-"))
        })
        .unwrap_or_else(|| panic!("no source distribution of {project}"));
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(archive).unwrap()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        let below: PathBuf = path.components().skip(1).collect();
        let to = workspace.path(&below);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        entry.unpack(to).unwrap();
    }
    workspace
}

fn in_wheel(wheel: &Path) -> BTreeSet<String> {
    let archive = zip::ZipArchive::new(File::open(wheel).unwrap()).unwrap();
    archive
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect()
}

fn in_source(source: &Path) -> BTreeSet<String> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(source).unwrap()));
    archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| !entry.header().entry_type().is_dir())
        .map(|entry| entry.path().unwrap().display().to_string())
        .collect()
}
