//! Cargo's own configuration among the sources: `.cargo/config.toml` in the package's directory
//! and above it (The Cargo Book, "Configuration").

use synth_core::{Diagnostic, PlanContext, ProjectPath};
use toml::{Table, Value};

use crate::document::Document;

/// The file's names in the order in which Cargo looks for them.
const NAMES: [&str; 2] = [".cargo/config", ".cargo/config.toml"];

/// The configuration that holds for a directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Configuration {
    /// The files, outermost first: what a later one says wins.
    pub(crate) files: Vec<Document>,
    /// A file that Cargo would read too, but which lies above the source directory.
    pub(crate) unseen: Option<ProjectPath>,
}

impl Configuration {
    /// Reads the files for `directory`, which is `source_path` or below it.
    ///
    /// # Errors
    /// Files that can't be read.
    pub(crate) fn read(
        directory: &ProjectPath,
        source_path: &ProjectPath,
        context: &dyn PlanContext,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut found = Self::default();
        let mut problems = Vec::new();
        let mut next = Some(directory.clone());
        while let Some(directory) = next {
            let names = NAMES.iter().filter_map(|name| directory.join(name).ok());
            if let Some(path) = names.into_iter().find(|path| context.exists(path)) {
                if directory.strip_prefix(source_path).is_none() {
                    found.unseen.get_or_insert(path);
                } else {
                    match Document::read_if_there(&path, context) {
                        Ok(document) => found.files.extend(document),
                        Err(problem) => problems.push(problem),
                    }
                }
            }
            next = directory.parent();
        }
        found.files.reverse();
        if problems.is_empty() {
            Ok(found)
        } else {
            Err(problems)
        }
    }

    /// Whether it takes packages from a directory that is among the sources, so that nothing is
    /// to be fetched.
    pub(crate) fn is_vendored(&self) -> bool {
        let sources = || {
            self.files
                .iter()
                .filter_map(|file| file.get(&["source"])?.as_table())
        };
        sources().flat_map(Table::values).any(|source| {
            let by = source.get("replace-with").and_then(Value::as_str);
            by.is_some_and(|by| {
                sources()
                    .filter_map(|sources| sources.get(by))
                    .any(|by| by.get("directory").or(by.get("local-registry")).is_some())
            })
        })
    }

    /// Whether it forbids Cargo the network.
    pub(crate) fn is_offline(&self) -> bool {
        let said = self
            .files
            .iter()
            .rev()
            .find_map(|file| file.get(&["net", "offline"])?.as_bool());
        said.unwrap_or_default()
    }

    /// The profiles that it describes.
    pub(crate) fn profiles(&self) -> Vec<String> {
        let tables = self
            .files
            .iter()
            .filter_map(|file| file.get(&["profile"])?.as_table());
        tables.flat_map(Table::keys).cloned().collect()
    }
}
