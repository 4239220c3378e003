//! Puts a site together: regular files alone, each at its place, links inside the site replaced
//! by what they lead to.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, NativeOutcome, RunContext};
use walkdir::WalkDir;

use crate::plan::TREE;
use crate::project::{Origin, shown_path};
use crate::tree;

/// The name of the native function.
pub(crate) const FUNCTION: &str = "assemble";

/// What it is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Parameters {
    pub(crate) origins: Vec<Origin>,
    /// The directory that the build command was to write to; empty without one.
    pub(crate) build_output: String,
}

/// Copies the tree.
///
/// # Errors
/// Links that lead nowhere, special files, an empty tree.
pub(crate) fn run(
    parameters: &Parameters,
    context: &dyn RunContext,
) -> Result<NativeOutcome, Vec<Diagnostic>> {
    let from = context.inputs().join(TREE);
    let to = context.outputs().join(TREE);
    let root =
        fs::canonicalize(&from).map_err(|error| vec![tree::unreadable("the site", &error)])?;
    let mut problems = Vec::new();
    let mut files = 0_usize;
    let mut walk = WalkDir::new(&from)
        .min_depth(1)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                problems.push(walk_problem(&error, &from, parameters));
                continue;
            }
        };
        let path = tree::relative(&from, entry.path())?;
        let is_directory = entry.file_type().is_dir();
        if let Some(problem) = entry_problem(entry.path(), &path, &root, parameters) {
            problems.push(problem);
            if is_directory {
                walk.skip_current_dir();
            }
            continue;
        }
        if is_directory {
            continue;
        }
        tree::copy(entry.path(), &to.join(&path))?;
        files += 1;
    }
    if files == 0 && problems.is_empty() {
        problems.push(empty(parameters));
    }
    if problems.is_empty() {
        context.log(&format!("{files} files"));
        Ok(NativeOutcome::quiet())
    } else {
        Err(problems)
    }
}

fn entry_problem(
    path: &Path,
    name: &str,
    root: &Path,
    parameters: &Parameters,
) -> Option<Diagnostic> {
    let shown = shown_path(&parameters.origins, name);
    let leads_to = fs::canonicalize(path).ok()?;
    if !leads_to.starts_with(root) {
        return Some(leaves(&shown));
    }
    (!leads_to.is_file() && !leads_to.is_dir()).then(|| {
        let message = format!("`{shown}` is neither a file nor a directory");
        Diagnostic::error("static.file.special", message).in_file(shown)
    })
}

fn leaves(shown: &str) -> Diagnostic {
    let message = format!("`{shown}` is a symbolic link that leaves the site");
    Diagnostic::error("static.source.link", message)
        .in_file(shown)
        .help("put a copy of what it leads to there, or exclude it")
}

fn walk_problem(error: &walkdir::Error, from: &Path, parameters: &Parameters) -> Diagnostic {
    let path = error.path().unwrap_or(from);
    let name = path.strip_prefix(from).unwrap_or(path).to_string_lossy();
    let shown = shown_path(&parameters.origins, &name);
    if path.is_symlink() {
        let what = match error.loop_ancestor() {
            Some(_) => "leads to a directory that holds it",
            None => "leads to nothing",
        };
        let message = format!("the symbolic link `{shown}` {what}");
        return Diagnostic::error("static.source.link", message)
            .in_file(shown)
            .help("remove it, or exclude it");
    }
    tree::unreadable(&format!("`{shown}`"), error)
}

fn empty(parameters: &Parameters) -> Diagnostic {
    if parameters.build_output.is_empty() {
        return Diagnostic::error("static.site.empty", "the site has no file")
            .help("check include and exclude");
    }
    let output = &parameters.build_output;
    Diagnostic::error(
        "static.build_output.empty",
        format!("build_command left `{output}` empty"),
    )
    .at_setting(["build_output"])
    .help("set build_output to the directory that the command writes to; its log tells")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use synth_core::testkit::TestRun;

    use super::*;

    fn parameters() -> Parameters {
        Parameters {
            origins: vec![Origin {
                prefix: String::new(),
                source: "web".into(),
            }],
            build_output: String::new(),
        }
    }

    #[test]
    fn links_inside_the_site_become_files() {
        let run = TestRun::new().unwrap();
        run.write("site/css/a.css", "a{}").unwrap();
        symlink("css", run.inputs().join("site/styles")).unwrap();
        symlink("css/a.css", run.inputs().join("site/b.css")).unwrap();
        super::run(&parameters(), &run).unwrap();
        let output = run.outputs().join("site");
        for path in ["css/a.css", "styles/a.css", "b.css"] {
            let file = output.join(path);
            assert!(file.is_file() && !file.is_symlink(), "{path}");
        }
    }

    #[test]
    fn links_that_leave_or_lead_nowhere_are_all_named() {
        let run = TestRun::new().unwrap();
        run.write("site/index.html", "").unwrap();
        run.write("secret", "").unwrap();
        symlink("../secret", run.inputs().join("site/a")).unwrap();
        symlink("nothing", run.inputs().join("site/b")).unwrap();
        symlink("..", run.inputs().join("site/c")).unwrap();
        let problems = super::run(&parameters(), &run).unwrap_err();
        let messages: Vec<&str> = problems.iter().map(|p| p.message.as_str()).collect();
        insta::assert_debug_snapshot!(messages, @r#"
        [
            "`web/a` is a symbolic link that leaves the site",
            "the symbolic link `web/b` leads to nothing",
            "`web/c` is a symbolic link that leaves the site",
        ]
        "#);
    }

    #[test]
    fn an_empty_output_names_the_setting() {
        let run = TestRun::new().unwrap();
        fs::create_dir(run.inputs().join("site")).unwrap();
        let parameters = Parameters {
            build_output: "dist".into(),
            ..parameters()
        };
        let problems = super::run(&parameters, &run).unwrap_err();
        assert_eq!(problems[0].code, "static.build_output.empty");
    }
}
