//! Checks that an action left what it declared, and moves that into the store.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use synth_core::{Action, Diagnostic, Output, OutputKind, ProjectPath};

use crate::store::{ActionOutputs, Store, StoreError};
use crate::tree::{FileEntry, Origin, Tree, TreeEntry};

/// Makes what an action expects to be there: declared directories, and those above declared
/// files.
pub(crate) fn prepare(action: &Action, base: &Path) -> Result<(), Diagnostic> {
    for output in &action.outputs {
        let path = place(action, output, base)?;
        let directory = match output.kind {
            OutputKind::Directory => path.as_path(),
            OutputKind::File => path.parent().unwrap_or(base),
        };
        fs::create_dir_all(directory).map_err(|error| {
            Diagnostic::error(
                "execute.prepare",
                format!("the place of output `{}` can't be made", output.path),
            )
            .concerning(synth_core::Concern::State)
            .caused_by(&error)
        })?;
    }
    Ok(())
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
        let entry = ingest(&path, store)?;
        outputs.insert(output.name.clone(), entry);
    }
    Ok(outputs)
}

/// Where an output is. A symbolic link on the way could lead anywhere, so none may be.
fn place(action: &Action, output: &Output, base: &Path) -> Result<PathBuf, Diagnostic> {
    let path = ProjectPath::parse(&output.path)
        .map_err(|error| crate::inputs::broken_plan(action, &error.to_string()))?;
    let mut place = base.to_owned();
    for component in path.components() {
        place.push(component);
        if fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_symlink()) {
            let shown = place.strip_prefix(base).unwrap_or(&place).display();
            return Err(Diagnostic::error(
                "execute.output.link",
                format!(
                    "the output `{}` of `{}` is or lies behind a symbolic link: `{shown}`",
                    output.path, action.description
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

/// Moves a file, a link or everything below a directory into the store.
fn ingest(path: &Path, store: &Store) -> Result<TreeEntry, Diagnostic> {
    let mut files = Vec::new();
    let mut tree = Tree::default();
    scan(path, "", &mut tree, &mut files)?;
    let digested: Vec<(String, TreeEntry)> = files
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

/// Finds what is at `path`: directories and links go into `tree`, files into `files`.
fn scan(
    path: &Path,
    relative: &str,
    tree: &mut Tree,
    files: &mut Vec<(String, PathBuf, bool)>,
) -> Result<(), Diagnostic> {
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
    let not_utf8 = || {
        Diagnostic::error(
            "execute.output.name",
            format!("an output below `{relative}` has a name that is not UTF-8"),
        )
    };
    let metadata = fs::symlink_metadata(path).map_err(unreadable)?;
    if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(unreadable)?;
        let target = target
            .into_os_string()
            .into_string()
            .map_err(|_| not_utf8())?;
        return tree
            .insert(relative, TreeEntry::Symlink(target))
            .map_err(conflict);
    }
    if metadata.is_file() {
        let executable = metadata.permissions().mode() & 0o111 != 0;
        files.push((relative.to_owned(), path.to_owned(), executable));
        return Ok(());
    }
    if !metadata.is_dir() {
        return Err(Diagnostic::error(
            "execute.output.special",
            format!("the output `{relative}` is neither a file, a directory nor a symbolic link"),
        ));
    }
    tree.insert(relative, TreeEntry::Directory(Tree::default()))
        .map_err(conflict)?;
    if metadata.permissions().mode() & 0o700 != 0o700 {
        // What is in a protected directory could be neither read nor moved out.
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(unreadable)?;
    }
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().into_string().map_err(|_| not_utf8())?;
        let below = if relative.is_empty() {
            name
        } else {
            format!("{relative}/{name}")
        };
        scan(&entry.path(), &below, tree, files)?;
    }
    Ok(())
}

fn not_stored(error: &StoreError) -> Diagnostic {
    Diagnostic::error("store.write", "an output can't be brought into the store")
        .concerning(synth_core::Concern::State)
        .caused_by(error)
}
