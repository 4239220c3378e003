//! A project in memory, as a plan sees it: the rules of the engine's own context, without a disk
//! on which anything could be found in another way.

use std::collections::VecDeque;
use std::sync::Arc;

use globset::GlobSet;

use super::patterns::Compiled;
use super::tools::Tools;
use super::tree::{Entry, FileTree, joined};
use crate::{
    FileKind, PlanContext, PlanError, ProjectPath, SourceFiles, Tool, ToolError, ToolRequest,
};

/// Names that are never sources.
const NEVER_SOURCES: [&str; 5] = [".git", ".hg", ".svn", ".jj", ".synth"];

/// Symbolic links on the way to one file; more are taken for a circle.
const MOST_LINKS: u32 = 40;

/// The project and the machine's tools.
pub(super) struct ProjectContext {
    files: FileTree,
    /// Output directories, which are never sources.
    outputs: Vec<ProjectPath>,
    tools: Tools,
    patterns: Compiled,
}

impl ProjectContext {
    pub(super) fn new(files: FileTree, outputs: Vec<ProjectPath>, tools: Tools) -> Self {
        Self {
            files,
            outputs,
            tools,
            patterns: Compiled::default(),
        }
    }

    /// What the project holds at a path, the last component not followed.
    pub(super) fn entry(&self, path: &ProjectPath) -> Result<Option<&Entry>, PlanError> {
        match self.resolve(path, false) {
            Ok(real) => Ok(self.files.entry(&real)),
            Err(PlanError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The path without symbolic links in it.
    fn resolve(&self, path: &ProjectPath, follow_last: bool) -> Result<String, PlanError> {
        let leaves = |target: &str| PlanError::Leaves {
            path: path.clone(),
            leads_to: target.into(),
        };
        let mut todo: VecDeque<String> = path.components().map(ToOwned::to_owned).collect();
        let mut done: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(component) = todo.pop_front() {
            match component.as_str() {
                "" | "." => continue,
                ".." => {
                    done.pop().ok_or_else(|| leaves(".."))?;
                    continue;
                }
                _ => done.push(component),
            }
            let here = done.join("/");
            match self.files.entry(&here) {
                None => return Err(PlanError::NotFound { path: path.clone() }),
                Some(Entry::Symlink(target)) if follow_last || !todo.is_empty() => {
                    links += 1;
                    if target.starts_with('/') {
                        return Err(leaves(target));
                    }
                    if links > MOST_LINKS {
                        return Err(io_error(path, "too many symbolic links"));
                    }
                    done.pop();
                    for part in target.rsplit('/') {
                        todo.push_front(part.to_owned());
                    }
                }
                Some(Entry::Directory) => {}
                Some(_) if todo.is_empty() => {}
                Some(_) => return Err(PlanError::NotFound { path: path.clone() }),
            }
        }
        Ok(done.join("/"))
    }

    fn list(&self, files: &SourceFiles) -> Result<Listing, PlanError> {
        let patterns = Patterns {
            include: match files.include.as_slice() {
                [] => None,
                include => Some(self.patterns.get(include)?),
            },
            exclude: self.patterns.get(&files.exclude)?,
        };
        let root = self.resolve(&files.root, true)?;
        if self.files.entry(&root) != Some(&Entry::Directory) {
            return Err(io_error(&files.root, "not a directory"));
        }
        let mut found = Listing::default();
        self.walk(&root, "", &patterns, &mut found);
        found.files.sort();
        found.directories.sort();
        Ok(found)
    }

    fn walk(&self, directory: &str, below: &str, patterns: &Patterns, found: &mut Listing) {
        for name in self.files.names(directory) {
            let relative = joined(below, name);
            if patterns.exclude.is_match(&relative) || NEVER_SOURCES.contains(&name) {
                continue;
            }
            let included = patterns
                .include
                .as_ref()
                .is_none_or(|include| include.is_match(&relative));
            let path = joined(directory, name);
            if self.files.entry(&path) != Some(&Entry::Directory) {
                if included {
                    found.files.push(relative);
                }
                continue;
            }
            let is_above = |output: &ProjectPath| {
                let rest = output.as_str().strip_prefix(path.as_str());
                rest.is_some_and(|rest| rest.starts_with('/'))
            };
            if self.outputs.iter().any(|output| output.as_str() == path) {
                continue;
            }
            let before = found.files.len() + found.directories.len();
            self.walk(&path, &relative, patterns, found);
            // A directory that is there for outputs alone is none of the sources.
            let is_empty = found.files.len() + found.directories.len() == before;
            if included && !(is_empty && self.outputs.iter().any(is_above)) {
                found.directories.push(relative);
            }
        }
    }
}

impl PlanContext for ProjectContext {
    fn read(&self, path: &ProjectPath) -> Result<Vec<u8>, PlanError> {
        match self.files.entry(&self.resolve(path, true)?) {
            Some(Entry::File { bytes, .. }) => Ok(bytes.to_vec()),
            _ => Err(io_error(path, "it is a directory")),
        }
    }

    fn kind(&self, path: &ProjectPath) -> Result<Option<FileKind>, PlanError> {
        Ok(match self.entry(path) {
            Ok(entry) => entry.map(|entry| match entry {
                Entry::File { .. } => FileKind::File,
                Entry::Symlink(_) => FileKind::Symlink,
                Entry::Directory => FileKind::Directory,
            }),
            // A real file system follows links out of the project here; what is there is nobody's.
            Err(PlanError::Leaves { .. }) => None,
            Err(error) => return Err(error),
        })
    }

    fn files(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        Ok(self.list(files)?.files)
    }

    fn directories(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        Ok(self.list(files)?.directories)
    }

    fn link(&self, path: &ProjectPath) -> Result<Option<String>, PlanError> {
        Ok(match self.entry(path)? {
            Some(Entry::Symlink(target)) => Some(target.clone()),
            _ => None,
        })
    }

    fn tool(&self, request: &ToolRequest) -> Result<Tool, ToolError> {
        self.tools.find(request)
    }
}

/// What patterns chose, relative to their root.
#[derive(Default)]
struct Listing {
    files: Vec<String>,
    directories: Vec<String>,
}

struct Patterns {
    include: Option<Arc<GlobSet>>,
    exclude: Arc<GlobSet>,
}

fn io_error(path: &ProjectPath, reason: &str) -> PlanError {
    PlanError::Io {
        path: path.clone(),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ProjectPath {
        ProjectPath::parse(text).unwrap()
    }

    fn project() -> ProjectContext {
        let mut files = FileTree::default();
        for (at, text) in [
            ("src/a.txt", "a"),
            ("src/b.md", "b"),
            ("src/.git/config", ""),
            ("dist/x/old", ""),
        ] {
            files.insert(at, Entry::file(text)).unwrap();
        }
        for (at, to) in [
            ("here", "src/a.txt"),
            ("dir", "./src"),
            ("out", "/etc/passwd"),
            ("up", "../x"),
            ("round", "round"),
            ("gone", "nothing"),
        ] {
            files.insert(at, Entry::Symlink(to.into())).unwrap();
        }
        ProjectContext::new(files, vec![path("dist/x")], Tools::default())
    }

    #[test]
    fn links_are_followed_inside_the_project_alone() {
        let project = project();
        for (at, expected) in [
            ("src/a.txt", "a"),
            ("here", "a"),
            ("dir/a.txt", "a"),
            ("out", "`out` leads out of the project, to `/etc/passwd`"),
            ("up", "`up` leads out of the project, to `..`"),
            ("gone", "`gone` does not exist"),
            ("src/none", "`src/none` does not exist"),
            ("src", "`src` can't be read: it is a directory"),
            ("round", "`round` can't be read: too many symbolic links"),
        ] {
            let read = project.read_text(&path(at));
            let shown = read.unwrap_or_else(|error| error.to_string());
            assert_eq!(shown, expected, "{at}");
        }
        assert_eq!(project.kind(&path("out")), Ok(Some(FileKind::Symlink)));
        assert_eq!(project.kind(&path("dir/a.txt")), Ok(Some(FileKind::File)));
        assert_eq!(project.kind(&path("src/a.txt/b")), Ok(None));
        assert_eq!(project.link(&path("gone")), Ok(Some("nothing".into())));
    }

    #[test]
    fn files_are_chosen_as_the_engine_chooses_them() {
        let project = project();
        let below = |root: &str| SourceFiles::below(path(root));
        let all = [
            "dir",
            "gone",
            "here",
            "out",
            "round",
            "src/a.txt",
            "src/b.md",
            "up",
        ];
        assert_eq!(project.files(&below("")).unwrap(), all);
        assert_eq!(project.directories(&below("")).unwrap(), ["src"]);
        let some = below("src").include(["*.txt", "b.md"]).exclude(["b*"]);
        assert_eq!(project.files(&some).unwrap(), ["a.txt"]);
        assert!(project.files(&below("nothing")).is_err());
        assert!(project.files(&below("src").include(["["])).is_err());
    }
}
