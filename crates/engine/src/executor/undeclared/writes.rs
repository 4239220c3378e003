//! What an action left in its root that is neither input nor output, and which inputs it changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use synth_core::{Action, ActionKind, Concern, Diagnostic, OutputKind};

use super::{listed, setting};
use crate::digest::digest_file;
use crate::inputs::broken_plan;
use crate::patterns::PathPatterns;
use crate::store::MODIFIED;
use crate::tree::{FileEntry, Tree, TreeEntry};

/// How many are looked for: more are told in the same words.
const MOST: usize = 1000;

/// What an action did to its root.
#[derive(Debug, Default, PartialEq, Eq)]
struct Writes {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
}

/// The problems of what an action wrote that it does not declare, before its outputs are taken.
/// They are errors where it is to be kept to that, else warnings.
pub(in crate::executor) fn look_for_writes(
    action: &Action,
    inputs: &Tree,
    root: &Path,
    apart: bool,
    is_error: bool,
) -> Result<Vec<Diagnostic>, Diagnostic> {
    let ActionKind::Exec(exec) = &action.kind else {
        return Ok(Vec::new());
    };
    let looking = Looking {
        allowed: allowed(action)?,
        apart,
    };
    let mut writes = Writes::default();
    // What can't be read was not left for anybody to read.
    let _ = looking.visit(root, "", Some(inputs), &mut writes);
    Ok(problems(action, &exec.working_directory, &writes, is_error))
}

/// What an action may write: its outputs and its scratch.
fn allowed(action: &Action) -> Result<PathPatterns, Diagnostic> {
    let mut patterns = output_patterns(action);
    for pattern in &action.scratch {
        patterns.push(pattern.clone());
        if !pattern.trim_end_matches('/').contains('/') {
            patterns.push(format!("**/{pattern}"));
        }
    }
    PathPatterns::new(&patterns).map_err(|error| broken_plan(action, &error.to_string()))
}

/// Patterns of what is taken as an action's outputs.
pub(in crate::executor) fn output_patterns(action: &Action) -> Vec<String> {
    let mut patterns = Vec::new();
    for output in &action.outputs {
        let path = globset::escape(&output.path);
        if output.kind == OutputKind::File || output.patterns.is_empty() {
            patterns.push(path);
            continue;
        }
        for pattern in &output.patterns {
            let pattern = pattern.trim_start_matches("./");
            patterns.push(match path.as_str() {
                "" => pattern.to_owned(),
                path => format!("{path}/{pattern}"),
            });
        }
    }
    patterns
}

struct Looking {
    allowed: PathPatterns,
    /// The inputs are elsewhere: what is not in the root has been left alone, and what was removed
    /// is marked.
    apart: bool,
}

impl Looking {
    /// Compares a directory with what was in it; none for one that was not there.
    fn visit(
        &self,
        directory: &Path,
        relative: &str,
        before: Option<&Tree>,
        writes: &mut Writes,
    ) -> std::io::Result<()> {
        let mut missing: BTreeMap<&str, &TreeEntry> = before
            .into_iter()
            .flat_map(|tree| &tree.entries)
            .map(|(name, entry)| (name.as_str(), entry))
            .collect();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let below = join(relative, &name);
            let known = missing.remove(name.as_ref());
            if self.allowed.is_match(&below) || writes.added.len() > MOST {
                continue;
            }
            let path = entry.path();
            let metadata = fs::symlink_metadata(&path)?;
            match known {
                Some(_) if self.apart && is_whiteout(&metadata) => writes.removed.push(below),
                Some(TreeEntry::Directory(tree)) if metadata.is_dir() => {
                    self.visit(&path, &below, Some(tree), writes)?;
                }
                Some(TreeEntry::File(file)) if metadata.is_file() => {
                    if is_changed(file, &path, &metadata) {
                        writes.changed.push(below);
                    }
                }
                Some(TreeEntry::Symlink(target)) if metadata.is_symlink() => {
                    if fs::read_link(&path)? != Path::new(target) {
                        writes.changed.push(below);
                    }
                }
                Some(_) => writes.changed.push(below),
                // Directories count for what is in them.
                None if metadata.is_dir() => self.visit(&path, &below, None, writes)?,
                None => writes.added.push(below),
            }
        }
        if self.apart && !is_opaque(directory) {
            return Ok(());
        }
        let removed = missing.keys().map(|name| join(relative, name));
        writes
            .removed
            .extend(removed.filter(|path| !self.allowed.is_match(path)));
        Ok(())
    }
}

/// Whether it stands for something that was removed from the layer below (overlayfs, "whiteouts
/// and opaque directories").
fn is_whiteout(metadata: &fs::Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

/// Whether a directory has taken the place of one that was removed from the layer below.
fn is_opaque(directory: &Path) -> bool {
    let mut value = [0; 1];
    let read = rustix::fs::lgetxattr(directory, "user.overlay.opaque", &mut value);
    read.is_ok() && value == *b"y"
}

fn join(above: &str, name: &str) -> String {
    match above {
        "" => name.to_owned(),
        above => format!("{above}/{name}"),
    }
}

/// Whether a file is another one than was put there. Only one that was written is read.
fn is_changed(file: &FileEntry, path: &Path, metadata: &fs::Metadata) -> bool {
    if metadata.len() != file.digest.size {
        return true;
    }
    let put = i64::try_from(MODIFIED.as_secs()).is_ok_and(|time| metadata.mtime() == time);
    !put && digest_file(path).is_ok_and(|digest| digest != file.digest)
}

fn problems(
    action: &Action,
    working_directory: &str,
    writes: &Writes,
    is_error: bool,
) -> Vec<Diagnostic> {
    let mut all = Vec::new();
    let mut tell =
        |code: &str, paths: &[String], what: &str, help: &dyn Fn(&[String]) -> String| {
            if paths.is_empty() {
                return;
            }
            let mut paths: Vec<String> = paths
                .iter()
                .map(|path| from_where_it_ran(working_directory, path))
                .collect();
            paths.sort();
            let message = format!("`{}` {what} {}", action.description, listed(&paths));
            let problem = match is_error {
                true => Diagnostic::error(code, message),
                false => Diagnostic::warning(code, message),
            };
            all.push(problem.concerning(Concern::Project).help(help(&paths)));
        };
    tell(
        "sandbox.write",
        &writes.added,
        "left what is none of its outputs:",
        &|paths| {
            let setting = setting(paths);
            format!(
                "add `outputs = {setting}` where it is a result, `scratch = {setting}` where nobody needs it"
            )
        },
    );
    tell(
        "sandbox.write.input",
        &writes.changed,
        "changed its inputs:",
        &|paths| {
            format!(
                "have it write elsewhere, or add `scratch = {}`: the project's own files stay as they are",
                setting(paths)
            )
        },
    );
    tell(
        "sandbox.write.input",
        &writes.removed,
        "removed its inputs:",
        &|paths| {
            format!(
                "have it leave them, or add `scratch = {}`: the project's own files stay as they are",
                setting(paths)
            )
        },
    );
    all
}

/// A path as whoever wrote the command would.
fn from_where_it_ran(working_directory: &str, path: &str) -> String {
    let rest = path
        .strip_prefix(working_directory)
        .and_then(|rest| rest.strip_prefix('/'));
    rest.unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use synth_core::{Exec, Phase};

    use super::*;
    use crate::digest::digest_bytes;
    use crate::store::{Store, materialize};
    use crate::tree::Origin;

    /// What is told of an action that finds `a/one`, `a/two` and `a/link` in its root.
    fn told(change: impl Fn(Action) -> Action, act: impl Fn(&Path)) -> String {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let mut inputs = Tree::default();
        for name in ["a/one", "a/two"] {
            let bytes = name.as_bytes();
            let file = FileEntry {
                digest: digest_bytes(bytes),
                executable: false,
                origin: Origin::Inline(bytes.into()),
            };
            inputs.insert(name, TreeEntry::File(file)).unwrap();
        }
        let link = TreeEntry::Symlink("one".into());
        inputs.insert("a/link", link).unwrap();
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        materialize(&store, &inputs, &root).unwrap();
        act(&root.join("a"));
        let exec = Exec::new(["make"]).working_directory("a");
        let action = Action::new("run", Phase::Build, "run make", exec);
        let problems = look_for_writes(&change(action), &inputs, &root, false, true).unwrap();
        let lines = problems.iter().map(|problem| {
            let help = problem.help.first().cloned().unwrap_or_default();
            format!("{}\n  {help}", problem.message)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_neither_input_nor_output_is_told_with_the_line_to_add() {
        let write = |path: &'static str| {
            move |root: &Path| {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "A/ONE").unwrap();
            }
        };
        let same = |action: Action| action;
        let output = |action: Action| action.output_file("o", "a/out/app");
        let pattern = |action: Action| action.output_files("o", "a", ["out/*.o", "gen/"]);
        let scratch = |action: Action| action.scratch(["__pycache__", "a/tmp/*.log"]);
        for (declared, path, expected) in [
            (
                &same as &dyn Fn(Action) -> Action,
                "out/app",
                "left what is none of its outputs: `out/app`",
            ),
            (&output, "out/app", ""),
            (
                &output,
                "out/app2",
                "left what is none of its outputs: `out/app2`",
            ),
            (&pattern, "out/x.o", ""),
            (&pattern, "gen/deep/x.c", ""),
            (
                &pattern,
                "out/x.c",
                "left what is none of its outputs: `out/x.c`",
            ),
            (&scratch, "deep/__pycache__/x.pyc", ""),
            (&scratch, "tmp/x.log", ""),
            (&same, "one", "changed its inputs: `one`"),
        ] {
            let told = told(declared, write(path));
            assert!(told.contains(expected), "{path}: {told}");
            assert_eq!(told.is_empty(), expected.is_empty(), "{path}: {told}");
        }
    }

    #[test]
    fn many_are_told_in_one_problem() {
        let told = told(
            |action| action,
            |root| {
                for number in 0..8 {
                    fs::write(root.join(format!("{number}.tmp")), "").unwrap();
                }
                fs::remove_file(root.join("two")).unwrap();
                fs::remove_file(root.join("link")).unwrap();
                std::os::unix::fs::symlink("two", root.join("link")).unwrap();
                // Touched, and the same.
                fs::write(root.join("one"), "a/one").unwrap();
                fs::create_dir(root.join("empty")).unwrap();
            },
        );
        insta::assert_snapshot!(told, @r#"
        `run make` left what is none of its outputs: `0.tmp`, `1.tmp`, `2.tmp`, `3.tmp`, `4.tmp` and 3 more
          add `outputs = ["0.tmp", "1.tmp", "2.tmp", "3.tmp", "4.tmp"]` where it is a result, `scratch = ["0.tmp", "1.tmp", "2.tmp", "3.tmp", "4.tmp"]` where nobody needs it
        `run make` changed its inputs: `link`
          have it write elsewhere, or add `scratch = ["link"]`: the project's own files stay as they are
        `run make` removed its inputs: `two`
          have it leave them, or add `scratch = ["two"]`: the project's own files stay as they are
        "#);
    }
}
