//! A build under `rollback` that is killed while it puts outputs in place: what is there when the next
//! one has begun is of one build, never a mix.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::thread;

use super::{assert_nothing_temporary, state};
use crate::workspace::Workspace;

const TARGETS: usize = 12;

/// Sites, and one more that is in the way when it has no title.
fn project() -> Workspace {
    let workspace = Workspace::new();
    let mut config = "failure_strategy = \"rollback\"\n".to_owned();
    for index in 0..TARGETS {
        config += &format!("[targets.t{index}]\ntype = \"static\"\nsource_path = \"s{index}\"\n");
    }
    config += "[targets.gate]\ntype = \"static\"\nsource_path = \"gate\"\n\
               build_command = \"sh build.sh\"\nbuild_output = \"out\"\n";
    workspace.write("synth.toml", config);
    gate(&workspace, "true");
    edit(&workspace, "0");
    workspace
}

fn page(text: &str) -> String {
    format!("<!doctype html><html lang=en><title>Shop</title><p>{text}</p></html>")
}

fn gate(workspace: &Workspace, end: &str) {
    let page = page("gate");
    let script = format!("mkdir out; echo '{page}' > out/index.html; {end}\n");
    workspace.write("gate/build.sh", script);
}

fn edit(workspace: &Workspace, text: &str) {
    for index in 0..TARGETS {
        for file in ["index.html", "other.html"] {
            workspace.write(&format!("s{index}/{file}"), page(text));
        }
    }
}

/// The texts that all the sites show: one, unless they are mixed.
fn shown(workspace: &Workspace) -> Vec<String> {
    let mut shown: Vec<String> = (0..TARGETS)
        .flat_map(|index| ["index", "other"].map(|name| format!("dist/t{index}/{name}.html")))
        .map(|path| {
            let page = workspace.read(&path);
            let (_, text) = page.split_once("<p>").unwrap();
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            text[..end].to_owned()
        })
        .collect();
    shown.dedup();
    shown
}

#[test]
fn outputs_are_of_one_build_wherever_one_was_killed() {
    let workspace = project();
    workspace.build([""; 0]).succeeded();
    let log = workspace.path(".synth/undo/log");
    let mut in_the_middle = 0;
    for attempt in 1..=40_u64 {
        if in_the_middle == 8 {
            break;
        }
        let before = state(&workspace, &["dist"]);
        edit(&workspace, &attempt.to_string());
        let mut command = workspace.command(["build"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut build = command.spawn().unwrap();
        // The log grows step by step: each time it is another step.
        let enough = 1 + attempt * 1511 % 20_000;
        while fs::metadata(&log).map_or(0, |log| log.len()) < enough {
            if build.try_wait().unwrap().is_some() {
                break;
            }
            thread::yield_now();
        }
        build.kill().unwrap();
        let killed = build.wait().unwrap().signal() == Some(9);
        let left = log.exists();
        in_the_middle += u32::from(killed && left);
        let run = workspace.synth(["recover"]);
        assert_eq!(
            run.output.status.code(),
            Some(if left { 5 } else { 0 }),
            "{run}"
        );
        let told = "a build was ended in the middle of putting outputs in place";
        assert_eq!(run.to_string().contains(told), left, "{run}");

        // One that fails puts nothing in place, but brings the one before to its end.
        gate(&workspace, &format!("exit {attempt}"));
        let report = workspace.build([""; 0]);
        assert_eq!(report.code, Some(1));
        assert_nothing_temporary(&workspace);
        let texts = shown(&workspace);
        assert_eq!(texts.len(), 1, "attempt {attempt}: mixed");
        if left {
            assert_eq!(state(&workspace, &["dist"]), before, "attempt {attempt}");
            let said = report.value["diagnostics"].to_string();
            assert!(said.contains("rollback.finished"), "{said}");
        }
        gate(&workspace, "true");
        let report = workspace.build([""; 0]).succeeded();
        assert!(!report.value.to_string().contains("rollback.finished"));
        assert_eq!(shown(&workspace), [attempt.to_string()]);
    }
    assert!(in_the_middle > 0, "no build was killed in the middle");
}

#[test]
fn what_somebody_has_put_into_outputs_since_is_not_removed() {
    let workspace = project();
    workspace.build([""; 0]).succeeded();
    let log = workspace.path(".synth/undo/log");
    for attempt in 1..=40 {
        edit(&workspace, &attempt.to_string());
        let mut command = workspace.command(["build"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut build = command.spawn().unwrap();
        let is_there = || {
            let page = fs::read_to_string(workspace.path("dist/t0/index.html"));
            page.is_ok_and(|page| page.contains(&format!("<p>{attempt}")))
        };
        while !is_there() && build.try_wait().unwrap().is_none() {
            thread::yield_now();
        }
        build.kill().unwrap();
        build.wait().unwrap();
        if log.exists() && is_there() {
            workspace.write("dist/t0/mine.txt", "mine");
            let run = workspace.synth(["build"]);
            assert_eq!(run.output.status.code(), Some(4), "{run}");
            assert!(run.to_string().contains("rollback.not_ours"), "{run}");
            fs::remove_file(workspace.path("dist/t0/mine.txt")).unwrap();
            workspace.build([""; 0]).succeeded();
            assert_eq!(shown(&workspace), [attempt.to_string()]);
            assert_nothing_temporary(&workspace);
            return;
        }
        workspace.build([""; 0]).succeeded();
    }
    panic!("no build was killed in the middle");
}
