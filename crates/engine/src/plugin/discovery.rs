//! Finds plugin libraries in the plugin directories, and judges them without opening any.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use synth_core::{Concern, Diagnostic};

use super::index::Index;
use super::{PluginFile, permissions};
use crate::config::PluginConfig;
use crate::index::Watched;

/// How the files of libraries end.
pub(crate) const EXTENSION: &str = if cfg!(target_os = "macos") {
    "dylib"
} else {
    "so"
};

/// Where plugins are looked for, beside what synth.toml says.
#[derive(Clone, Debug, Default)]
pub struct PluginDirectories {
    /// `--plugin-dir`, absolute.
    pub flag: Vec<PathBuf>,
    /// [`PLUGIN_DIR_VARIABLE`], absolute.
    pub variable: Vec<PathBuf>,
    /// The user's own, see [`default_plugin_directory`]; it need not be there.
    pub user: Option<PathBuf>,
}

/// The variable with plugin directories, separated as in `PATH`.
pub const PLUGIN_DIR_VARIABLE: &str = "SYNTH_PLUGIN_DIR";

/// The plugin directory of a project, below the directory of synth.toml.
pub const PROJECT_PLUGIN_DIRECTORY: &str = ".synth/plugins";

/// What led to a library, in the order of precedence in which libraries are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A directory of `--plugin-dir`.
    Flag,
    /// A directory of [`PLUGIN_DIR_VARIABLE`].
    Variable,
    /// `path` of a plugin in synth.toml.
    ConfiguredPath,
    /// A directory of `plugin_dirs` in synth.toml.
    Configured,
    /// [`PROJECT_PLUGIN_DIRECTORY`].
    Project,
    /// The user's plugin directory.
    User,
}

impl Origin {
    /// As lists name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flag => "--plugin-dir",
            Self::Variable => PLUGIN_DIR_VARIABLE,
            Self::ConfiguredPath => "path in synth.toml",
            Self::Configured => "plugin_dirs in synth.toml",
            Self::Project => "project",
            Self::User => "user",
        }
    }
}

/// A library that was found.
#[derive(Clone, Debug)]
pub struct FoundPlugin {
    /// The kind it brings: of its manifest or, where that can't be read, of its name.
    pub kind: String,
    /// Its file.
    pub path: PathBuf,
    /// What led to it.
    pub origin: Origin,
    /// What was read of it; none when it is no library with a manifest.
    pub file: Option<PluginFile>,
    /// Why it can't be used, if it can't.
    pub problem: Option<Diagnostic>,
}

impl FoundPlugin {
    /// The library, when it can be used.
    #[must_use]
    pub fn usable(&self) -> Option<&PluginFile> {
        self.file.as_ref().filter(|_| self.problem.is_none())
    }

    /// Reads and judges one library.
    #[must_use]
    pub fn at(path: &Path, origin: Origin) -> Self {
        judge(path, origin, &mut Index::default())
    }

    /// What it is and where, in a sentence.
    pub(crate) fn shown(&self) -> String {
        match &self.file {
            Some(file) => format!("{} at `{}`", file.name(), self.path.display()),
            None => format!("`{}`", self.path.display()),
        }
    }
}

/// The user's plugin directory (XDG Base Directory Specification, "Environment variables"): none
/// for a user without a home.
#[must_use]
pub fn default_plugin_directory() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let data = absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    Some(data?.join("synth/plugins"))
}

/// Whether a text can be a kind: what `type` names.
#[must_use]
pub fn is_kind(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.len() <= 64
        && text.chars().all(allowed)
}

/// What was found, and what is wrong with the directories themselves.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    pub(crate) found: Vec<FoundPlugin>,
    pub(crate) problems: Vec<Diagnostic>,
}

/// What [`discover`] looks at, looked at before.
pub(crate) fn watch(directories: &PluginDirectories, config: &PluginConfig) -> Watched {
    let mut watched = Watched::default();
    let configured = config.directories.iter().map(|directory| &directory.path);
    let named = directories.flag.iter().chain(&directories.variable);
    let project = config.root.as_ref();
    let project = project.map(|root| root.join(PROJECT_PLUGIN_DIRECTORY));
    let all = named.chain(configured).chain(&project);
    for directory in all.chain(&directories.user) {
        watched.look(directory);
        // A directory that can't be read has no libraries.
        for library in libraries(directory).unwrap_or_default() {
            watched.look(&library);
        }
    }
    for kind in config.choices.keys() {
        let request = config.request(kind);
        if let Some(path) = request.and_then(|request| request.path.as_ref()) {
            watched.look(path);
        }
    }
    watched
}

/// Looks in all plugin directories, in the order of [`Origin`], and by name in each.
pub(crate) fn discover(
    directories: &PluginDirectories,
    config: &PluginConfig,
    index: &mut Index,
) -> Discovery {
    let mut discovery = Discovery::default();
    let mut seen = BTreeSet::new();
    let mut look = |path: &Path, origin: Origin, discovery: &mut Discovery| {
        let real = fs::canonicalize(path)?;
        if !seen.insert(real.clone()) {
            return Ok(());
        }
        // Without the `..` that paths of the command line have; the others are kept as they are
        // known.
        let path = match origin {
            Origin::Project | Origin::User => path,
            _ => &real,
        };
        for library in libraries(path)? {
            discovery.found.push(judge(&library, origin, index));
        }
        io::Result::Ok(())
    };
    let named = [
        (&directories.flag, Origin::Flag),
        (&directories.variable, Origin::Variable),
    ];
    for (paths, origin) in named {
        for path in paths {
            if let Err(error) = look(path, origin, &mut discovery) {
                let problem = unusable_directory(path, origin, &error);
                discovery.problems.push(problem);
            }
        }
    }
    for directory in &config.directories {
        if let Err(error) = look(&directory.path, Origin::Configured, &mut discovery) {
            let problem = unusable_directory(&directory.path, Origin::Configured, &error);
            let problem = config.locate_directory(directory, problem);
            discovery.problems.push(problem);
        }
    }
    let project = config.root.as_ref();
    let project = project.map(|root| (root.join(PROJECT_PLUGIN_DIRECTORY), Origin::Project));
    let user = directories.user.clone().map(|path| (path, Origin::User));
    for (path, origin) in [project, user].into_iter().flatten() {
        match look(&path, origin, &mut discovery) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let mut warning = unusable_directory(&path, origin, &error);
                warning.severity = synth_core::Severity::Warning;
                discovery.problems.push(warning);
            }
        }
    }
    for kind in config.choices.keys() {
        let request = config.request(kind);
        if let Some(path) = request.and_then(|request| request.path.as_ref()) {
            discovery.found.push(configured(kind, path, index));
        }
    }
    index.save();
    // A library that synth.toml names is not found a second time in its directory.
    let named = |found: &FoundPlugin| found.origin == Origin::ConfiguredPath;
    let paths: Vec<PathBuf> = discovery
        .found
        .iter()
        .filter(|found| named(found))
        .filter_map(real)
        .collect();
    discovery
        .found
        .retain(|found| named(found) || real(found).is_none_or(|path| !paths.contains(&path)));
    discovery.found.sort_by_key(|found| found.origin);
    discovery
}

fn real(found: &FoundPlugin) -> Option<PathBuf> {
    fs::canonicalize(&found.path).ok()
}

/// The library that synth.toml names for a kind. Whatever is wrong with it is that kind's concern.
fn configured(kind: &str, path: &Path, index: &mut Index) -> FoundPlugin {
    let mut found = judge(path, Origin::ConfiguredPath, index);
    if !path.exists() {
        found.problem = Some(
            Diagnostic::error(
                "plugin.missing",
                format!(
                    "the library of plugin `{kind}` does not exist: `{}`",
                    path.display()
                ),
            )
            .help("`path` is relative to synth.toml"),
        );
    } else if found.kind != kind && found.problem.is_none() {
        found.problem = Some(
            Diagnostic::error(
                "plugin.other_kind",
                format!(
                    "`{}` is a plugin for `{}`, not for `{kind}`",
                    path.display(),
                    found.kind
                ),
            )
            .help("name its kind, or another library"),
        );
    }
    kind.clone_into(&mut found.kind);
    found
}

/// The libraries directly in a directory, sorted.
fn libraries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_library = path.extension().is_some_and(|end| end == EXTENSION);
        if is_library && !is_hidden && !path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn judge(path: &Path, origin: Origin, index: &mut Index) -> FoundPlugin {
    let read = index.plugin_file(path);
    let (file, problem) = match read {
        Ok(file) => {
            let problem = problem_of(&file);
            (Some(file), problem)
        }
        Err(error) => (None, Some(error.diagnostic(path))),
    };
    let kind = file
        .as_ref()
        .map(|file| file.manifest.target.kind.clone())
        .filter(|kind| is_kind(kind))
        .unwrap_or_else(|| kind_of_name(path));
    FoundPlugin {
        kind,
        path: path.to_owned(),
        origin,
        file,
        problem,
    }
}

/// Why a library with a manifest can't be used all the same.
fn problem_of(file: &PluginFile) -> Option<Diagnostic> {
    if let Err(error) = file.check() {
        return Some(error.diagnostic(&file.path));
    }
    let kind = &file.manifest.target.kind;
    if !is_kind(kind) {
        let problem = Diagnostic::error(
            "plugin.kind",
            format!(
                "`{}` can't be used as a plugin: it calls its kind `{}`",
                file.path.display(),
                kind.escape_debug()
            ),
        );
        return Some(
            problem
                .concerning(Concern::Environment)
                .help("a kind has lower-case letters, digits and `-`; tell the plugin's author"),
        );
    }
    match permissions::check_library(&file.path) {
        Ok(Ok(())) => None,
        Ok(Err(insecure)) => Some(insecure.diagnostic()),
        Err(error) => Some(super::PluginFileError::Unreadable(error).diagnostic(&file.path)),
    }
}

/// The kind that a file's name promises: `libsynth_target_greet-1.2.0.so` and `greet.so` are of
/// `greet`.
fn kind_of_name(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = name.strip_prefix("lib").unwrap_or(&name);
    let name = match name.split_once('-') {
        Some((before, after)) if after.starts_with(|c: char| c.is_ascii_digit()) => before,
        _ => name,
    };
    let name = name.replace('_', "-").to_lowercase();
    name.strip_prefix("synth-target-")
        .unwrap_or(&name)
        .to_owned()
}

fn unusable_directory(path: &Path, origin: Origin, error: &io::Error) -> Diagnostic {
    let shown = path.display();
    let problem = if error.kind() == io::ErrorKind::NotFound {
        Diagnostic::error(
            "plugin.directory.missing",
            format!("the plugin directory `{shown}` does not exist"),
        )
    } else {
        Diagnostic::error(
            "plugin.directory.unusable",
            format!("the plugin directory `{shown}` can't be read"),
        )
        .caused_by(error)
    };
    match origin {
        Origin::Configured => problem.help("`plugin_dirs` are relative to synth.toml"),
        _ => problem.help(format!("it is named by {}", origin.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_has_its_kind_from_its_name() {
        for (name, kind) in [
            ("libsynth_target_greet.so", "greet"),
            ("libgreet.so", "greet"),
            ("greet.so", "greet"),
            ("libsynth_target_greet-1.2.0.so", "greet"),
            ("greet-1.2.0.so", "greet"),
            ("synth-target-my-kind.so", "my-kind"),
            ("libmy_kind-2.so", "my-kind"),
        ] {
            assert_eq!(kind_of_name(Path::new(name)), kind, "{name}");
        }
    }

    #[test]
    fn kinds_are_short_plain_words() {
        for (text, allowed) in [
            ("greet", true),
            ("my-kind2", true),
            ("", false),
            ("Greet", false),
            ("2greet", false),
            ("greet-", false),
            ("../greet", false),
            ("greet_er", false),
        ] {
            assert_eq!(is_kind(text), allowed, "{text}");
        }
    }
}
