//! Checks that an action left what it declared, and moves that into the store.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use synth_core::{Action, Diagnostic, Output, OutputKind, ProjectPath};

use crate::inputs::broken_plan;
use crate::patterns::PathPatterns;
use crate::store::{ActionOutputs, Store, StoreError};
use crate::tree::{FileEntry, Origin, Tree, TreeEntry};

/// Makes what an action expects to be there: declared directories, and those above declared
/// files.
pub(crate) fn prepare(action: &Action, base: &Path) -> Result<(), Diagnostic> {
    let mut places = BTreeSet::new();
    for output in &action.outputs {
        let path = place(action, output, base)?;
        if !places.insert(path.clone()) {
            let reason = format!("it has two outputs at `{}`", output.path);
            return Err(broken_plan(action, &reason));
        }
        if output.kind == OutputKind::File {
            if !output.patterns.is_empty() {
                let reason = format!("the file `{}` has patterns", output.path);
                return Err(broken_plan(action, &reason));
            }
            make(path.parent().unwrap_or(base), output)?;
            continue;
        }
        make(&path, output)?;
        for pattern in &output.patterns {
            if let Some(above) = directory_above(pattern) {
                let above = match output.path.as_str() {
                    "" => above,
                    path => format!("{path}/{above}"),
                };
                make(&place_of(action, &above, base)?, output)?;
            }
        }
    }
    Ok(())
}

fn make(directory: &Path, output: &Output) -> Result<(), Diagnostic> {
    fs::create_dir_all(directory).map_err(|error| {
        Diagnostic::error(
            "execute.prepare",
            format!("the place of output `{}` can't be made", output.path),
        )
        .concerning(synth_core::Concern::State)
        .caused_by(&error)
    })
}

/// The directory above what a pattern names, as far as it is named without wildcards: `build` for
/// `build/app` and `build/*.o`; none for `dist/**`, which names `dist` itself.
fn directory_above(pattern: &str) -> Option<String> {
    let named = pattern
        .trim_start_matches("./")
        .trim_end_matches('/')
        .trim_end_matches("/**");
    let mut components: Vec<&str> = named.split('/').collect();
    components.pop();
    let plain = |component: &&&str| !component.contains(['*', '?', '[', '{', '\\']);
    let plain: Vec<&str> = components.iter().take_while(plain).copied().collect();
    (!plain.is_empty()).then(|| plain.join("/"))
}

/// Moves every declared output into the store.
pub(crate) fn collect(
    action: &Action,
    base: &Path,
    store: &Store,
) -> Result<ActionOutputs, Diagnostic> {
    let mut outputs = ActionOutputs::new();
    for output in &action.outputs {
        let path = place(action, output, base)?;
        let metadata = fs::symlink_metadata(&path).map_err(|_| missing(action, output))?;
        let fits = match output.kind {
            OutputKind::File => metadata.is_file(),
            OutputKind::Directory => metadata.is_dir(),
        };
        if !fits {
            return Err(missing(action, output));
        }
        let entry = if output.patterns.is_empty() {
            ingest(&path, None, store)?
        } else {
            by_patterns(action, output, &path, store)?
        };
        outputs.insert(output.name.clone(), entry);
    }
    Ok(outputs)
}

/// The files below a directory that match an output's patterns, each of which must match one.
fn by_patterns(
    action: &Action,
    output: &Output,
    path: &Path,
    store: &Store,
) -> Result<TreeEntry, Diagnostic> {
    let broken = |error: synth_core::PlanError| broken_plan(action, &error.to_string());
    let wanted = PathPatterns::new(&output.patterns).map_err(broken)?;
    let entry = ingest(path, Some(&wanted), store)?;
    let found: Vec<String> = match &entry {
        TreeEntry::Directory(tree) => tree.leaves().into_iter().map(|(path, _)| path).collect(),
        _ => Vec::new(),
    };
    for pattern in &output.patterns {
        let one = PathPatterns::new(std::slice::from_ref(pattern)).map_err(broken)?;
        if !found.iter().any(|path| one.is_match(path)) {
            return Err(unmatched(action, output, pattern));
        }
    }
    Ok(entry)
}

fn unmatched(action: &Action, output: &Output, pattern: &str) -> Diagnostic {
    let below = match output.path.as_str() {
        "" => String::new(),
        path => format!(" below `{path}`"),
    };
    Diagnostic::error(
        "execute.output.missing",
        format!(
            "`{}` succeeded but left nothing that matches `{pattern}`{below}",
            action.description
        ),
    )
    .help("check that the command writes there; an empty directory does not count")
}

/// Where an output is. A symbolic link on the way could lead anywhere, so none may be.
fn place(action: &Action, output: &Output, base: &Path) -> Result<PathBuf, Diagnostic> {
    place_of(action, &output.path, base)
}

fn place_of(action: &Action, shown: &str, base: &Path) -> Result<PathBuf, Diagnostic> {
    let path =
        ProjectPath::parse(shown).map_err(|error| broken_plan(action, &error.to_string()))?;
    let mut place = base.to_owned();
    for component in path.components() {
        place.push(component);
        if fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_symlink()) {
            let link = place.strip_prefix(base).unwrap_or(&place).display();
            return Err(Diagnostic::error(
                "execute.output.link",
                format!(
                    "the output `{shown}` of `{}` is or lies behind a symbolic link: `{link}`",
                    action.description
                ),
            )
            .help("have the command write into a directory of its own"));
        }
    }
    Ok(place)
}

fn missing(action: &Action, output: &Output) -> Diagnostic {
    let kind = match output.kind {
        OutputKind::File => "file",
        OutputKind::Directory => "directory",
    };
    Diagnostic::error(
        "execute.output.missing",
        format!(
            "`{}` succeeded but left no {kind} `{}`",
            action.description, output.path
        ),
    )
    .help("check that the command writes there")
}

/// Moves a file, a link or everything below a directory into the store; with `wanted`, the files
/// and links below the directory that match.
fn ingest(
    path: &Path,
    wanted: Option<&PathPatterns>,
    store: &Store,
) -> Result<TreeEntry, Diagnostic> {
    let mut scan = Scan {
        wanted,
        tree: Tree::default(),
        files: Vec::new(),
    };
    scan.visit(path, "")?;
    let mut tree = scan.tree;
    let digested: Vec<(String, TreeEntry)> = scan
        .files
        .into_par_iter()
        .map(|(relative, path, executable)| {
            let digest = store.take_file(&path).map_err(|error| not_stored(&error))?;
            let entry = FileEntry {
                digest,
                executable,
                origin: Origin::Store,
            };
            Ok((relative, TreeEntry::File(entry)))
        })
        .collect::<Result<_, Diagnostic>>()?;
    for (relative, entry) in digested {
        if relative.is_empty() {
            return Ok(entry);
        }
        tree.insert(&relative, entry).map_err(|conflict| {
            Diagnostic::error("execute.output.conflict", conflict.to_string())
        })?;
    }
    Ok(TreeEntry::Directory(tree))
}

/// What is found of an output: directories and links in a tree already, files still to be moved.
struct Scan<'a> {
    /// Only files and links that match, of which there may be none; everything without it.
    wanted: Option<&'a PathPatterns>,
    tree: Tree,
    /// Where each belongs, where it is, and whether it may be executed.
    files: Vec<(String, PathBuf, bool)>,
}

impl Scan<'_> {
    /// Finds what is at `path`, `relative` in the output.
    fn visit(&mut self, path: &Path, relative: &str) -> Result<(), Diagnostic> {
        let unreadable = |error: std::io::Error| {
            Diagnostic::error(
                "execute.output.unreadable",
                format!("the output `{relative}` can't be read"),
            )
            .caused_by(&error)
        };
        let conflict = |error: crate::tree::Conflict| {
            Diagnostic::error("execute.output.conflict", error.to_string())
        };
        let metadata = fs::symlink_metadata(path).map_err(unreadable)?;
        if metadata.is_dir() {
            if self.wanted.is_none() {
                let directory = TreeEntry::Directory(Tree::default());
                self.tree.insert(relative, directory).map_err(conflict)?;
            }
            if metadata.permissions().mode() & 0o700 != 0o700 {
                // What is in a protected directory could be neither read nor moved out.
                fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(unreadable)?;
            }
            return self.visit_entries(path, relative);
        }
        if self.wanted.is_some_and(|wanted| !wanted.is_match(relative)) {
            return Ok(());
        }
        if metadata.is_symlink() {
            let target = fs::read_link(path).map_err(unreadable)?;
            let target = target
                .into_os_string()
                .into_string()
                .map_err(|_| not_utf8(relative, "what the link says"))?;
            let link = TreeEntry::Symlink(target);
            return self.tree.insert(relative, link).map_err(conflict);
        }
        if metadata.is_file() {
            let executable = metadata.permissions().mode() & 0o111 != 0;
            let file = (relative.to_owned(), path.to_owned(), executable);
            self.files.push(file);
            return Ok(());
        }
        Err(Diagnostic::error(
            "execute.output.special",
            format!("the output `{relative}` is neither a file, a directory nor a symbolic link"),
        ))
    }

    fn visit_entries(&mut self, directory: &Path, relative: &str) -> Result<(), Diagnostic> {
        let unreadable = |error: std::io::Error| {
            Diagnostic::error(
                "execute.output.unreadable",
                format!("the output `{relative}` can't be read"),
            )
            .caused_by(&error)
        };
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let shown = name.to_string_lossy();
            let below = if relative.is_empty() {
                shown.into_owned()
            } else {
                format!("{relative}/{shown}")
            };
            let unnamed = name.to_str().is_none();
            // Names that nobody asked for need not be readable.
            let is_wanted = self.wanted.is_none_or(|wanted| wanted.is_match(&below));
            if unnamed && is_wanted {
                return Err(not_utf8(relative, &format!("the name {name:?} in it")));
            }
            if !unnamed {
                self.visit(&entry.path(), &below)?;
            }
        }
        Ok(())
    }
}

fn not_utf8(relative: &str, what: &str) -> Diagnostic {
    let output = match relative {
        "" => "an output".to_owned(),
        relative => format!("the output `{relative}`"),
    };
    Diagnostic::error(
        "execute.output.name",
        format!("{output} can't be kept: {what} is not UTF-8"),
    )
    .help("have the command write another name, or name its outputs by patterns that leave it out")
}

fn not_stored(error: &StoreError) -> Diagnostic {
    let problem = Diagnostic::error("store.write", "an output can't be brought into the store")
        .concerning(synth_core::Concern::State)
        .caused_by(error);
    match error.advice() {
        Some(advice) => problem.help(advice),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pattern_names_has_its_directory() {
        for (pattern, above) in [
            ("app", None),
            ("dist/**", None),
            ("./dist/", None),
            ("**/*.o", None),
            ("build/app", Some("build")),
            ("build/*.o", Some("build")),
            ("gen/src/**", Some("gen")),
            ("a/b/{c,d}/e/f", Some("a/b")),
        ] {
            assert_eq!(directory_above(pattern).as_deref(), above, "{pattern}");
        }
    }
}
