//! Puts a checked library into a plugin directory: in one step, or not at all.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use synth_core::{Concern, Diagnostic};

use super::Record;
use super::record::path_beside;
use crate::plugin::discovery::{EXTENSION, FoundPlugin};
use crate::plugin::{Origin, PluginFile, permissions};

/// The file that the library of a crate has in a plugin directory.
pub(super) fn file_name(crate_name: &str) -> String {
    format!("lib{}.{EXTENSION}", crate_name.replace('-', "_"))
}

/// Puts the library at `from` into `directory`, in place of the one of the same crate. Gives where
/// it is.
pub(super) fn place(
    from: &PluginFile,
    record: &Record,
    directory: &Path,
) -> Result<PathBuf, Diagnostic> {
    let failed = |error: &io::Error| super::unwritable(directory, error);
    make_directory(directory).map_err(|error| failed(&error))?;
    if let Err(insecure) = permissions::check(directory).map_err(|error| failed(&error))? {
        return Err(insecure.diagnostic());
    }
    let path = directory.join(file_name(&from.manifest.crate_name));
    refuse_second(from, &path, directory)?;
    let put = || -> io::Result<()> {
        let mode = Permissions::from_mode(0o755);
        let mut library = tempfile::Builder::new()
            .prefix(".synth-install-")
            .permissions(mode)
            .tempfile_in(directory)?;
        let copied =
            crate::digest::copy_and_digest(&mut fs::File::open(&from.path)?, &mut library)?;
        if copied.sha256 != from.sha256 {
            // What was examined is what is installed.
            return Err(io::Error::other("the library was changed meanwhile"));
        }
        library.as_file().sync_all()?;
        let mut beside = tempfile::Builder::new()
            .prefix(".synth-install-")
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(directory)?;
        let text = record.to_text(&from.sha256).map_err(io::Error::other)?;
        beside.write_all(text.as_bytes())?;
        beside.as_file().sync_all()?;
        // The record says which library it is of: an older one beside a newer library is none.
        library.persist(&path)?;
        beside.persist(path_beside(&path))?;
        Ok(())
    };
    put().map_err(|error| failed(&error))?;
    Ok(path)
}

/// Makes a plugin directory and those above it, which others can read and not write.
fn make_directory(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)?;
    // What the project builds into is not committed, and neither is what it is built with.
    if directory.ends_with(crate::plugin::PROJECT_PLUGIN_DIRECTORY)
        && let Some(state) = directory.parent()
    {
        let ignore = state.join(".gitignore");
        if !ignore.exists() {
            fs::write(ignore, "*\n")?;
        }
    }
    Ok(())
}

/// Another library of the directory that brings the kind already would make both unusable.
fn refuse_second(from: &PluginFile, path: &Path, directory: &Path) -> Result<(), Diagnostic> {
    let kind = &from.manifest.target.kind;
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        let other = entry.path();
        if other == path || other.extension().is_none_or(|end| end != EXTENSION) {
            continue;
        }
        let found = FoundPlugin::at(&other, Origin::User);
        if let Some(file) = found.file.filter(|file| file.manifest.target.kind == *kind) {
            return Err(Diagnostic::error(
                "plugin.conflict",
                format!(
                    "`{kind}` is brought by {} already: `{}`",
                    file.name(),
                    other.display()
                ),
            )
            .help(format!("remove it first: `synth plugin remove {kind}`")));
        }
    }
    Ok(())
}

/// Removes an installed library with its record.
///
/// # Errors
/// When it can't be removed.
pub fn remove_library(path: &Path) -> Result<(), Diagnostic> {
    let failed = |error: io::Error| {
        Diagnostic::error(
            "plugin.remove",
            format!("`{}` can't be removed", path.display()),
        )
        .concerning(Concern::State)
        .caused_by(&error)
    };
    fs::remove_file(path).map_err(failed)?;
    match fs::remove_file(path_beside(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}
