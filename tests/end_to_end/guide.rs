//! The guides in `docs/`, done as they say: files are written, commands are run, and what they
//! print is compared with what the page promises.

use std::fs;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use crate::workspace::{Workspace, repository};

/// A code block of a page: its info string and its text.
struct Block {
    info: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut inside = false;
    for event in Parser::new(page) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                inside = true;
                found.push(Block {
                    info: info.to_string(),
                    text: String::new(),
                });
            }
            Event::End(TagEnd::CodeBlock) => inside = false,
            Event::Text(text) if inside => found.last_mut().unwrap().text.push_str(&text),
            _ => {}
        }
    }
    found
}

/// Does what a page says, from an empty directory.
fn follow(page: &str) -> Workspace {
    let page = fs::read_to_string(repository().join("docs").join(page)).unwrap();
    let workspace = Workspace::new().with_developers_cargo();
    let mut done = 0;
    for block in blocks(&page) {
        if let Some((_, path)) = block.info.split_once(" file=") {
            workspace.write(path, &block.text);
            done += 1;
        } else if block.info == "console" {
            console(&workspace, &block.text);
            done += 1;
        }
    }
    assert!(done > 0, "the page has nothing to do");
    workspace
}

/// Runs the commands of a block one by one; lines below a command are what it prints.
fn console(workspace: &Workspace, text: &str) {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let command = line
            .strip_prefix("$ ")
            .unwrap_or_else(|| panic!("`{line}` is no command"));
        let mut expected = String::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
            expected.push_str(line);
            expected.push('\n');
        }
        let printed = workspace.run("sh", ["-euc", command]);
        if !expected.is_empty() {
            assert_eq!(printed, expected, "{command}");
        }
    }
}

#[test]
fn a_target_is_written_in_ten_minutes() {
    let workspace = follow("write-a-target.md");
    let listed = workspace.synth(["plugin", "list"]).succeeded().to_string();
    assert!(listed.contains("wordcount"), "{listed}");
}
