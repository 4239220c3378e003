//! Two executions of one action, compared: what comes out different is named, file by file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use synth_core::{Action, Diagnostic};

use crate::executor::process;
use crate::store::{ActionOutputs, Store, materialize};
use crate::tree::{Tree, TreeEntry};

/// More differences are counted.
const MOST_SHOWN: usize = 20;

/// How long diffoscope may take.
const DIFFOSCOPE_TIMEOUT: Duration = Duration::from_secs(600);

/// What is different between the outputs of two executions: none when nothing is.
pub(crate) fn compare(
    action: &Action,
    first: &ActionOutputs,
    second: &ActionOutputs,
    store: &Store,
    report: &Path,
) -> Option<Diagnostic> {
    let (before, after) = (leaves(first), leaves(second));
    let mut differences = Vec::new();
    for path in before
        .keys()
        .chain(after.keys().filter(|path| !before.contains_key(*path)))
    {
        let sentence = match (before.get(path), after.get(path)) {
            (Some(before), Some(after)) if before == after => continue,
            (Some(before), Some(after)) => format!("`{path}`: {}", change(before, after)),
            (Some(_), None) => format!("`{path}` is there the first time alone"),
            (None, _) => format!("`{path}` is there the second time alone"),
        };
        differences.push(sentence);
    }
    if differences.is_empty() {
        return None;
    }
    let more = differences.len().saturating_sub(MOST_SHOWN);
    differences.truncate(MOST_SHOWN);
    if more > 0 {
        differences.push(format!("and {more} more"));
    }
    let message = format!(
        "`{}` does not leave the same when it is executed again",
        action.description
    );
    let problem = Diagnostic::error("reproducible.differs", message);
    let problem = differences.into_iter().fold(problem, Diagnostic::cause);
    Some(match diffoscope(first, second, store, report) {
        Some(path) => problem.help(format!("what is in the files: `{}`", path.display())),
        None => problem
            .help("look for times, random numbers, the order of a directory's files, or paths in what it writes")
            .help("install diffoscope to see what is different inside of the files"),
    })
}

fn change(before: &TreeEntry, after: &TreeEntry) -> String {
    match (before, after) {
        (TreeEntry::File(before), TreeEntry::File(after)) if before.digest == after.digest => {
            let is = |executable| {
                if executable {
                    "executable"
                } else {
                    "not executable"
                }
            };
            format!("{}, then {}", is(before.executable), is(after.executable))
        }
        (TreeEntry::File(before), TreeEntry::File(after)) => format!(
            "{} ({} bytes), then {} ({} bytes)",
            before.digest.short(),
            before.digest.size,
            after.digest.short(),
            after.digest.size
        ),
        (TreeEntry::Symlink(before), TreeEntry::Symlink(after)) => {
            format!("a link to `{before}`, then to `{after}`")
        }
        _ => "a file, a link or a directory, then another of them".to_owned(),
    }
}

fn leaves(outputs: &ActionOutputs) -> BTreeMap<String, TreeEntry> {
    let mut found = BTreeMap::new();
    for (name, entry) in outputs {
        match entry {
            TreeEntry::Directory(tree) => {
                for (path, leaf) in tree.leaves() {
                    found.insert(format!("{name}/{path}"), leaf.clone());
                }
                for path in tree.empty_directories() {
                    let empty = TreeEntry::Directory(Tree::default());
                    found.insert(format!("{name}/{path}"), empty);
                }
            }
            leaf => {
                found.insert(name.clone(), leaf.clone());
            }
        }
    }
    found
}

/// Has diffoscope look into both, where it is installed; gives the file with what it found.
fn diffoscope(
    first: &ActionOutputs,
    second: &ActionOutputs,
    store: &Store,
    report: &Path,
) -> Option<PathBuf> {
    let program = which::which("diffoscope").ok()?;
    let directory = tempfile::tempdir_in(store.work_directory()).ok()?;
    for (name, outputs) in [("first", first), ("second", second)] {
        let to = directory.path().join(name);
        fs::create_dir(&to).ok()?;
        let tree = Tree {
            entries: outputs.clone(),
        };
        materialize(store, &tree, &to).ok()?;
    }
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let arguments = [
        "--text".to_owned(),
        report.to_string_lossy().into_owned(),
        path("first"),
        path("second"),
    ];
    // Its exit code says that there are differences, which is known.
    process::ask(&program, &arguments, DIFFOSCOPE_TIMEOUT).ok()?;
    report.exists().then(|| report.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use synth_core::{Native, Phase};

    use super::*;
    use crate::digest::digest_bytes;
    use crate::tree::{FileEntry, Origin};

    #[test]
    fn differences_are_named_file_by_file() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let file = |text: &str, executable| {
            let bytes: Arc<[u8]> = text.as_bytes().into();
            store.put_bytes(&bytes).unwrap();
            TreeEntry::File(FileEntry {
                digest: digest_bytes(&bytes),
                executable,
                origin: Origin::Store,
            })
        };
        let outputs = |entries: Vec<(&str, TreeEntry)>| -> ActionOutputs {
            let mut tree = Tree::default();
            for (path, entry) in entries {
                tree.insert(path, entry).unwrap();
            }
            [("out".to_owned(), TreeEntry::Directory(tree))].into()
        };
        let action = Action::new("a", Phase::Build, "make it", Native::new("f"));
        let compare = |first: &ActionOutputs, second: &ActionOutputs| {
            let report = directory.path().join("report");
            compare(&action, first, second, &store, &report).map(|problem| problem.causes)
        };
        let first = outputs(vec![
            ("same", file("same", false)),
            ("text", file("one", false)),
            ("mode", file("same", false)),
            ("link", TreeEntry::Symlink("a".into())),
            ("gone", file("", false)),
        ]);
        assert_eq!(compare(&first, &first), None);
        let second = outputs(vec![
            ("same", file("same", false)),
            ("text", file("three", false)),
            ("mode", file("same", true)),
            ("link", TreeEntry::Symlink("b".into())),
            ("new", file("", false)),
        ]);
        insta::assert_snapshot!(compare(&first, &second).unwrap().join("\n"), @"
        `out/gone` is there the first time alone
        `out/link`: a link to `a`, then to `b`
        `out/mode`: not executable, then executable
        `out/text`: 7692c3ad3540 (3 bytes), then 8b5b9db0c13d (5 bytes)
        `out/new` is there the second time alone
        ");
    }
}
