//! The files of a site on disk, by their path in it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use synth_core::{Concern, Diagnostic};
use walkdir::WalkDir;

/// A directory with the files of a site.
pub(crate) struct Tree {
    root: PathBuf,
    files: BTreeSet<String>,
}

impl Tree {
    /// Lists a directory that holds regular files alone, as `assemble` leaves it.
    ///
    /// # Errors
    /// When it can't be read.
    pub(crate) fn read(root: PathBuf) -> Result<Self, Vec<Diagnostic>> {
        let mut files = BTreeSet::new();
        for entry in WalkDir::new(&root).min_depth(1) {
            let entry = entry.map_err(|error| vec![unreadable("the site", &error)])?;
            if entry.file_type().is_dir() {
                continue;
            }
            files.insert(relative(&root, entry.path())?);
        }
        Ok(Self { root, files })
    }

    /// Their paths, sorted.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// Whether there is a file of that path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.contains(path)
    }

    /// Whether there is a file below that path.
    pub(crate) fn has_directory(&self, path: &str) -> bool {
        let below = format!("{path}/");
        let next = self.files.range(below.clone()..).next();
        next.is_some_and(|file| file.starts_with(&below))
    }

    /// Where a file is.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// A file's bytes.
    ///
    /// # Errors
    /// When it can't be read.
    pub(crate) fn bytes(&self, file: &str) -> Result<Vec<u8>, Vec<Diagnostic>> {
        fs::read(self.path(file)).map_err(|error| vec![unreadable(file, &error)])
    }
}

/// A path below a root, as text.
///
/// # Errors
/// When its name is not UTF-8: it could be in no link.
pub(crate) fn relative(root: &Path, path: &Path) -> Result<String, Vec<Diagnostic>> {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.to_str().map(str::to_owned).ok_or_else(|| {
        let message = format!("the name of `{}` is not UTF-8", below.display());
        let help = "rename the file, or exclude it";
        vec![Diagnostic::error("static.file.name", message).help(help)]
    })
}

/// Copies a file, with the directories above it.
///
/// # Errors
/// When the system says no.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Vec<Diagnostic>> {
    let copy = || {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from, to).map(|_| ())
    };
    copy().map_err(|error| unwritable(to, &error))
}

/// Writes a file, with the directories above it.
///
/// # Errors
/// When the system says no.
pub(crate) fn write(to: &Path, bytes: &[u8]) -> Result<(), Vec<Diagnostic>> {
    let write = || {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(to, bytes)
    };
    write().map_err(|error| unwritable(to, &error))
}

pub(crate) fn unreadable(what: &str, error: &dyn std::error::Error) -> Diagnostic {
    Diagnostic::error("static.file.unreadable", format!("{what} can't be read")).caused_by(error)
}

fn unwritable(to: &Path, error: &io::Error) -> Vec<Diagnostic> {
    let message = format!("`{}` can't be written", to.display());
    vec![
        Diagnostic::error("static.file.unwritable", message)
            .caused_by(error)
            .concerning(Concern::State),
    ]
}

/// A set of globs as the engine reads them: a pattern that names a directory means everything
/// below it.
///
/// # Errors
/// When one is not a glob.
pub(crate) fn patterns(patterns: &[String]) -> Result<GlobSet, Vec<Diagnostic>> {
    let mut set = GlobSetBuilder::new();
    let build = |pattern: &str| GlobBuilder::new(pattern).literal_separator(true).build();
    let wrong = |error: globset::Error| {
        vec![
            Diagnostic::error("static.settings.pattern", "a pattern is not valid")
                .caused_by(&error),
        ]
    };
    for pattern in patterns {
        let pattern = pattern.trim_end_matches('/');
        set.add(build(pattern).map_err(wrong)?);
        set.add(build(&format!("{pattern}/**")).map_err(wrong)?);
    }
    set.build().map_err(wrong)
}

/// What a file is by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileType {
    Html,
    Xhtml,
    Css,
    Script,
    Svg,
    WebManifest,
    Other,
}

/// What a file is by the end of its name.
pub(crate) fn file_type(path: &str) -> FileType {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => FileType::Html,
        "xhtml" | "xht" => FileType::Xhtml,
        "css" => FileType::Css,
        "js" | "mjs" => FileType::Script,
        "svg" => FileType::Svg,
        "webmanifest" => FileType::WebManifest,
        _ => FileType::Other,
    }
}
