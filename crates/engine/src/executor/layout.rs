//! Where an action's directories and inputs are: on the disk, or, of a process whose few inputs it
//! only reads, the inputs in memory and below a directory on the disk that takes what it writes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use synth_core::{Action, ActionKind};

use super::environment::Directories;
use super::undeclared::output_patterns;
use crate::patterns::PathPatterns;
use crate::sandbox::work_beside;
use crate::tree::{Tree, TreeEntry};
use crate::work::{ActionDirectory, WorkDirectory, remove_tree};

/// More bytes of inputs are not laid out in memory.
const MOST_BYTES: u64 = 8 * 1024 * 1024;

/// More files of inputs are not laid out in memory.
const MOST_FILES: usize = 4096;

/// An action's directories.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The one that holds the others.
    directory: ActionDirectory,
    pub(super) directories: Directories,
    /// The name and the place of its inputs, where they are in memory.
    memory: Option<(String, PathBuf)>,
}

impl Layout {
    /// Makes the directories that an action of a kind needs, its inputs being in memory or not.
    pub(super) fn make(
        work: &WorkDirectory,
        memory: Option<(String, PathBuf)>,
        kind: &ActionKind,
    ) -> io::Result<Self> {
        let directory = match work.make() {
            Ok(directory) => directory,
            Err(error) => {
                if let Some((_, path)) = &memory {
                    remove_tree(path);
                }
                return Err(error);
            }
        };
        let layout = Self {
            directories: Directories::below(&directory.path),
            directory,
            memory,
        };
        match layout.make_all(kind) {
            Ok(()) => Ok(layout),
            Err(error) => {
                layout.remove(work);
                Err(error)
            }
        }
    }

    fn make_all(&self, kind: &ActionKind) -> io::Result<()> {
        let directories = &self.directories;
        fs::create_dir(&directories.root)?;
        if !matches!(kind, ActionKind::Exec(_)) {
            for path in [&directories.outputs, &directories.scratch] {
                fs::create_dir(path)?;
            }
        }
        match self.memory {
            Some(_) => fs::create_dir(work_beside(self.path())),
            None => Ok(()),
        }
    }

    /// The directory that holds the others.
    pub(super) fn path(&self) -> &Path {
        &self.directory.path
    }

    /// Where its inputs belong.
    pub(super) fn inputs(&self) -> &Path {
        let memory = self.memory.as_ref();
        memory.map_or(&self.directories.root, |(_, path)| path)
    }

    /// The name of its inputs, where they are in memory.
    pub(super) fn memory(&self) -> Option<&str> {
        self.memory.as_ref().map(|(name, _)| name.as_str())
    }

    /// Removes what is of this action.
    pub(super) fn remove(self, work: &WorkDirectory) {
        let Some((_, path)) = &self.memory else {
            remove_tree(self.path());
            return;
        };
        remove_tree(path);
        remove_tree(&work_beside(self.path()));
        remove_tree(&self.directories.root);
        // It was in a sandbox, of whose processes none is left.
        work.take_back(self.directory);
    }
}

/// Whether inputs may be laid out where the action does not write: they are few, and none of them
/// is, or is above, what is taken as an output afterwards.
pub(super) fn fits_in_memory(action: &Action, inputs: &Tree) -> bool {
    if !matches!(action.kind, ActionKind::Exec(_)) {
        return false;
    }
    let outputs = output_patterns(action);
    let Ok(taken) = PathPatterns::new(&outputs) else {
        return false;
    };
    let mut inspection = Inspection {
        taken,
        above: action
            .outputs
            .iter()
            .map(|output| output.path.clone())
            .chain(outputs.clone())
            .collect(),
        outputs,
        files: 0,
        bytes: 0,
    };
    // An output that is the root itself has everything in it.
    !inspection.outputs.iter().any(String::is_empty) && inspection.allows(inputs, "")
}

/// What has been seen of an action's inputs.
struct Inspection {
    taken: PathPatterns,
    outputs: Vec<String>,
    /// The paths of outputs, as they are and as patterns.
    above: Vec<String>,
    files: usize,
    bytes: u64,
}

impl Inspection {
    fn allows(&mut self, tree: &Tree, above: &str) -> bool {
        tree.entries.iter().all(|(name, entry)| {
            let path = match above {
                "" => name.clone(),
                above => format!("{above}/{name}"),
            };
            if self.taken.is_match(&path) {
                return false;
            }
            match entry {
                TreeEntry::Directory(below) => self.allows(below, &path),
                TreeEntry::File(file) => {
                    self.files += 1;
                    self.bytes = self.bytes.saturating_add(file.digest.size);
                    self.files <= MOST_FILES && self.bytes <= MOST_BYTES && !self.is_above(&path)
                }
                TreeEntry::Symlink(_) => !self.is_above(&path),
            }
        })
    }

    /// Whether an output lies below a path, which would hide what is there.
    fn is_above(&self, path: &str) -> bool {
        let mut outputs = self.above.iter();
        outputs.any(|output| {
            let below = output.strip_prefix(path);
            below.is_some_and(|below| below.starts_with('/'))
        })
    }
}

#[cfg(test)]
mod tests {
    use synth_core::{Digest, Exec, Native, Output, OutputKind, Phase};

    use super::*;
    use crate::tree::{FileEntry, Origin};

    fn tree(paths: &[&str], size: u64) -> Tree {
        let mut tree = Tree::default();
        for path in paths {
            let (path, entry) = match path.split_once(" -> ") {
                Some((path, target)) => (path, TreeEntry::Symlink(target.into())),
                None => {
                    let entry = FileEntry {
                        digest: Digest::new("0".repeat(64), size).unwrap(),
                        executable: false,
                        origin: Origin::Store,
                    };
                    (*path, TreeEntry::File(entry))
                }
            };
            tree.insert(path, entry).unwrap();
        }
        tree
    }

    fn action(outputs: Vec<Output>) -> Action {
        Action {
            outputs,
            ..Action::new("a", Phase::Build, "a", Exec::new(["true"]))
        }
    }

    fn output(kind: OutputKind, path: &str, patterns: &[&str]) -> Output {
        Output {
            name: "o".into(),
            path: path.into(),
            kind,
            patterns: patterns.iter().map(|one| (*one).to_owned()).collect(),
        }
    }

    fn file(path: &str) -> Vec<Output> {
        vec![output(OutputKind::File, path, &[])]
    }

    fn directory(path: &str, patterns: &[&str]) -> Vec<Output> {
        vec![output(OutputKind::Directory, path, patterns)]
    }

    #[test]
    fn inputs_that_are_outputs_or_above_them_stay_on_the_disk() {
        for (outputs, inputs, expected) in [
            (file("out/a"), &["src/a"][..], true),
            (file("src/a"), &["src/a"], false),
            (directory("src", &[]), &["src/a"], false),
            (directory("", &[]), &["src/a"], false),
            (directory("", &["out/*.o"]), &["src/a", "out/b.c"], true),
            (directory("", &["out/*.o"]), &["out/a.o"], false),
            (directory("", &["out/*.o"]), &["out -> elsewhere"], false),
            (file("out/a"), &["out -> src"], false),
            (file("out/a"), &["src -> out"], true),
        ] {
            let fits = fits_in_memory(&action(outputs.clone()), &tree(inputs, 1));
            assert_eq!(fits, expected, "{outputs:?} {inputs:?}");
        }
    }

    #[test]
    fn large_inputs_and_those_of_native_actions_stay_on_the_disk() {
        let inputs = tree(&["a", "b"], MOST_BYTES / 2);
        assert!(fits_in_memory(&action(file("out/a")), &inputs));
        let inputs = tree(&["a", "b"], MOST_BYTES / 2 + 1);
        assert!(!fits_in_memory(&action(file("out/a")), &inputs));
        let native = Action {
            kind: Native::new("f").into(),
            ..action(file("out/a"))
        };
        assert!(!fits_in_memory(&native, &tree(&["a"], 1)));
    }
}
