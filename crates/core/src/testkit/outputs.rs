//! What an action leaves: places made ready beforehand, declared files and directories taken
//! afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::patterns::glob_set;
use super::tree::{Conflict, Entry, FileTree, read_entry};
use crate::{Action, Concern, Diagnostic, Output, OutputKind, ProjectPath};

/// What was left for one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    File(Entry),
    Directory(FileTree),
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { bytes, .. } => write!(formatter, "{} bytes", bytes.len()),
            Self::Symlink(target) => write!(formatter, "link to {target}"),
            Self::Directory => formatter.write_str("directory"),
        }
    }
}

impl Left {
    /// Puts it at a place of a tree.
    pub(super) fn put(&self, tree: &mut FileTree, at: &str) -> Result<(), Conflict> {
        match self {
            Self::File(entry) => tree.insert(at, entry.clone()),
            Self::Directory(below) => tree.merge(at, below),
        }
    }
}

/// Makes what an action expects to be there: declared directories, and those above declared
/// files and above what patterns name.
pub(super) fn prepare(action: &Action, base: &Path) -> Result<(), Diagnostic> {
    let made = |path: &Path| {
        fs::create_dir_all(path).map_err(|error| {
            let message = format!("`{}` can't be made for its outputs", path.display());
            Diagnostic::error("execute.prepare", message).caused_by(&error)
        })
    };
    for output in &action.outputs {
        let path = place(action, output, base)?;
        match output.kind {
            OutputKind::File => made(path.parent().unwrap_or(base))?,
            OutputKind::Directory => made(&path)?,
        }
        for pattern in &output.patterns {
            made(&path.join(above_pattern(pattern)))?;
        }
    }
    Ok(())
}

/// The directory above what a pattern names, as far as it is named without wildcards: `build` for
/// `build/app` and `build/*.o`; none for `dist/**`, which names `dist` itself.
fn above_pattern(pattern: &str) -> PathBuf {
    let named = pattern
        .trim_start_matches("./")
        .trim_end_matches('/')
        .trim_end_matches("/**");
    let Some((above, _)) = named.rsplit_once('/') else {
        return PathBuf::new();
    };
    let is_plain = |part: &&str| !part.contains(['*', '?', '[', '{', '\\']);
    above.split('/').take_while(is_plain).collect()
}

/// Takes every declared output.
pub(super) fn collect(action: &Action, base: &Path) -> Result<BTreeMap<String, Left>, Diagnostic> {
    let mut outputs = BTreeMap::new();
    for output in &action.outputs {
        let path = place(action, output, base)?;
        let missing = || missing(action, output, base);
        let metadata = fs::symlink_metadata(&path).map_err(|_| missing())?;
        let unreadable = |error: io::Error| {
            let message = format!("the output `{}` can't be read", output.path);
            Diagnostic::error("execute.output.unreadable", message).caused_by(&error)
        };
        let left = match output.kind {
            OutputKind::File if metadata.is_file() => {
                Left::File(read_entry(&path).map_err(unreadable)?)
            }
            OutputKind::Directory if metadata.is_dir() => {
                let tree = FileTree::read(&path).map_err(unreadable)?;
                Left::Directory(matching(action, output, tree)?)
            }
            _ => return Err(missing()),
        };
        outputs.insert(output.name.clone(), left);
    }
    Ok(outputs)
}

/// What an output's patterns choose.
fn matching(action: &Action, output: &Output, tree: FileTree) -> Result<FileTree, Diagnostic> {
    if output.patterns.is_empty() {
        return Ok(tree);
    }
    let globs = |patterns: &[String]| {
        glob_set(patterns).map_err(|error| broken(action, &error.to_string()))
    };
    let wanted = globs(&output.patterns)?;
    let mut chosen = FileTree::default();
    for (path, entry) in tree.entries() {
        if *entry != Entry::Directory && wanted.is_match(path) {
            chosen
                .insert(path, entry.clone())
                .map_err(|error| broken(action, &error.to_string()))?;
        }
    }
    for pattern in &output.patterns {
        let one = globs(std::slice::from_ref(pattern))?;
        if !chosen.paths().iter().any(|path| one.is_match(path)) {
            let message = format!(
                "`{}` succeeded but left nothing that matches `{pattern}`",
                action.description
            );
            return Err(Diagnostic::error("execute.output.missing", message).help(there_is(&tree)));
        }
    }
    Ok(chosen)
}

/// Where an output is. A symbolic link on the way could lead anywhere, so none may be.
fn place(action: &Action, output: &Output, base: &Path) -> Result<PathBuf, Diagnostic> {
    let path =
        ProjectPath::parse(&output.path).map_err(|error| broken(action, &error.to_string()))?;
    let mut place = base.to_owned();
    for component in path.components() {
        place.push(component);
        if fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_symlink()) {
            let message = format!(
                "the output `{}` of `{}` is or lies behind a symbolic link",
                output.path, action.description
            );
            return Err(Diagnostic::error("execute.output.link", message)
                .help("have the command write into a directory of its own"));
        }
    }
    Ok(place)
}

fn missing(action: &Action, output: &Output, base: &Path) -> Diagnostic {
    let kind = match output.kind {
        OutputKind::File => "file",
        OutputKind::Directory => "directory",
    };
    let message = format!(
        "`{}` succeeded but left no {kind} `{}`",
        action.description, output.path
    );
    let problem = Diagnostic::error("execute.output.missing", message);
    match FileTree::read(base) {
        Ok(tree) => problem.help(there_is(&tree)),
        Err(_) => problem,
    }
}

/// What is there instead, for someone who looks for a wrong name.
fn there_is(tree: &FileTree) -> String {
    /// More names help nobody.
    const MOST: usize = 10;
    let paths = tree.paths();
    match paths.len() {
        0 => "there are no files in its directory".into(),
        count => {
            let shown = paths[..count.min(MOST)].join("`, `");
            let more = if count > MOST { ", .." } else { "" };
            format!("there is `{shown}`{more}")
        }
    }
}

fn broken(action: &Action, reason: &str) -> Diagnostic {
    Diagnostic::error(
        "plan.broken",
        format!("the action `{}` can't be carried out: {reason}", action.id),
    )
    .concerning(Concern::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_above_what_a_pattern_names_are_made() {
        for (pattern, directory) in [
            ("build/app", "build"),
            ("./build/app", "build"),
            ("dist/**", ""),
            ("a/b/*.txt", "a/b"),
            ("app", ""),
            ("**/x", ""),
        ] {
            assert_eq!(above_pattern(pattern), Path::new(directory), "{pattern}");
        }
    }
}
