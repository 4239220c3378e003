//! Failures that people meet, made by the real tools: all that the terminal shows, and the way out.

mod kinds;
mod machine;
mod network;
mod programs;

use crate::soak::pipeline::with_tools;
use crate::workspace::{Run, Workspace};

/// A target of the kind `command` that runs a script on these files, with lines of its own.
fn project(script: &str, settings: &str, files: &[(&str, &str)]) -> Workspace {
    let workspace = with_tools(Workspace::with_files([("src/a.txt", "one\n")]), None);
    for (path, text) in files {
        workspace.write(&format!("src/{path}"), text);
    }
    workspace.write(
        "synth.toml",
        format!(
            "[targets.app]\ntype = \"command\"\nsource_path = \"src\"\noutputs = [\"out\"]\n\
             output_path = \"dist/app\"\n{settings}\nscript = '''{script}'''\n"
        ),
    );
    workspace
}

/// Builds it.
fn build(script: &str, settings: &str, files: &[(&str, &str)]) -> Run {
    project(script, settings, files).synth(["build", "-j1"])
}
