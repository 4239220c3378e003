//! The repository's own rules, checked as tests: who may know whom, how files begin and how long
//! they are, and that the documents tell of what is there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand, Package};
use walkdir::WalkDir;

const LONGEST_FILE: usize = 600;

#[test]
fn the_architecture_page_lists_the_members_of_the_workspace() {
    let metadata = metadata();
    let members: BTreeSet<String> = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let directory = package.manifest_path.parent().unwrap();
            let relative = directory.strip_prefix(&metadata.workspace_root).unwrap();
            relative.to_string()
        })
        .collect();
    let page = read("ARCHITECTURE.md");
    let listed: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(directory, _)| directory.to_owned())
        .collect();
    assert_eq!(listed, members, "the table of crates in ARCHITECTURE.md");
}

#[test]
fn rooms_know_only_whom_they_may_know() {
    let metadata = metadata();
    let members: BTreeMap<&str, &Package> = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| (package.name.as_str(), package))
        .collect();
    let mut wrong = Vec::new();
    for (name, package) in &members {
        for dependency in &package.dependencies {
            let known = dependency.name.as_str();
            if members.contains_key(known) && !may_know(name, known) {
                wrong.push(format!("{name} depends on {known}"));
            }
        }
    }
    assert_eq!(wrong, [] as [String; 0], "see ARCHITECTURE.md");
}

/// Targets and the engine know the core, the command line knows them all; nothing else.
fn may_know(room: &str, other: &str) -> bool {
    match room {
        "synth-cli" => true,
        "synth-engine" => other == "synth-core",
        target if target.starts_with("synth-target-") => other == "synth-core",
        _ => false,
    }
}

#[test]
fn every_source_file_begins_with_what_it_is() {
    let silent = sources(|text| !text.starts_with("//! "));
    assert_eq!(silent, [] as [PathBuf; 0]);
}

#[test]
fn no_source_file_is_too_long() {
    let long = sources(|text| text.lines().count() > LONGEST_FILE);
    assert_eq!(long, [] as [PathBuf; 0]);
}

#[test]
fn no_test_is_left_out() {
    // Put together, so that this file does not find itself.
    let mark = ["#[ig", "nore"].concat();
    let left_out = sources(|text| text.contains(&mark));
    assert_eq!(left_out, [] as [PathBuf; 0]);
}

#[test]
fn the_changelog_tells_of_something() {
    let changelog = read("CHANGELOG.md");
    let (_, newest) = changelog
        .split_once("\n## [")
        .expect("CHANGELOG.md has a section for a version");
    let newest = newest.split("\n## [").next().unwrap_or(newest);
    assert!(
        newest.lines().any(|line| line.starts_with("- ")),
        "the newest section of CHANGELOG.md has no entry"
    );
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = root();
    let mut broken = Vec::new();
    for document in files("md") {
        let text = fs::read_to_string(&document).unwrap();
        for (_, rest) in text
            .match_indices("](")
            .map(|(at, mark)| text.split_at(at + mark.len()))
        {
            let link = rest.split(')').next().unwrap_or(rest);
            let path = link.split('#').next().unwrap_or(link);
            let is_file = !path.is_empty() && !path.contains("://");
            if is_file && !document.parent().unwrap().join(path).exists() {
                let document = document.strip_prefix(&root).unwrap().display();
                broken.push(format!("{document}: {link}"));
            }
        }
    }
    assert_eq!(broken, [] as [String; 0]);
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .current_dir(root())
        .no_deps()
        .exec()
        .expect("cargo tells about the workspace")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a directory of the repository")
        .to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// Rust files whose text is as asked, relative to the repository.
fn sources(wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let root = root();
    files("rs")
        .into_iter()
        .filter(|path| wanted(&fs::read_to_string(path).unwrap()))
        .map(|path| path.strip_prefix(&root).unwrap().to_owned())
        .collect()
}

/// Files of the repository with that extension, what builds leave behind left out.
fn files(extension: &str) -> Vec<PathBuf> {
    let generated = ["target", "dist", ".git", ".synth"];
    let mut found: Vec<PathBuf> = WalkDir::new(root())
        .into_iter()
        .filter_entry(|entry| {
            let name = entry.file_name().to_string_lossy();
            entry.depth() == 0 || !generated.contains(&name.as_ref())
        })
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no .{extension} file in the repository");
    found
}
