//! A file in TOML with the places of what is in it.

use std::ops::Range;

use synth_core::{Diagnostic, PlanContext, PlanError, ProjectPath};
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// A file that is TOML.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) path: ProjectPath,
    text: String,
    table: Table,
}

/// Why there is no document.
#[derive(Clone, Debug)]
pub(crate) enum NoDocument {
    /// Nothing is there.
    Missing,
    /// It can't be read, or is not TOML.
    Problem(Diagnostic),
}

impl Document {
    /// Reads a file of the project.
    pub(crate) fn read(path: &ProjectPath, context: &dyn PlanContext) -> Result<Self, NoDocument> {
        let text = context.read_text(path).map_err(|error| match error {
            PlanError::NotFound { .. } => NoDocument::Missing,
            error => NoDocument::Problem(
                Diagnostic::error("cargo.file.unreadable", error.to_string())
                    .in_file(path.to_string()),
            ),
        })?;
        let table = text.parse().map_err(|error: toml::de::Error| {
            let message = format!("`{path}` is not valid TOML: {}", error.message());
            let problem = Diagnostic::error("cargo.file.malformed", message);
            NoDocument::Problem(match error.span() {
                Some(span) => problem.at_span(path.to_string(), &text, &span),
                None => problem.in_file(path.to_string()),
            })
        })?;
        Ok(Self {
            path: path.clone(),
            text,
            table,
        })
    }

    /// As [`Document::read`], a file that is not there being no problem.
    pub(crate) fn read_if_there(
        path: &ProjectPath,
        context: &dyn PlanContext,
    ) -> Result<Option<Self>, Diagnostic> {
        match Self::read(path, context) {
            Ok(document) => Ok(Some(document)),
            Err(NoDocument::Missing) => Ok(None),
            Err(NoDocument::Problem(problem)) => Err(problem),
        }
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// What is at a path of keys.
    pub(crate) fn get(&self, keys: &[&str]) -> Option<&Value> {
        let (first, rest) = keys.split_first()?;
        rest.iter()
            .try_fold(self.table.get(*first)?, |value, key| value.get(key))
    }

    /// The text at a path of keys.
    pub(crate) fn text_at(&self, keys: &[&str]) -> Option<&str> {
        self.get(keys)?.as_str()
    }

    /// The texts in the list at a path of keys.
    pub(crate) fn texts_at(&self, keys: &[&str]) -> Vec<&str> {
        let list = self.get(keys).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// Puts a problem at the value at a path of keys.
    pub(crate) fn place(&self, problem: Diagnostic, keys: &[&str]) -> Diagnostic {
        match self.span(keys) {
            Some(span) => problem.at_span(self.path.to_string(), &self.text, &span),
            None => problem.in_file(self.path.to_string()),
        }
    }

    fn span(&self, keys: &[&str]) -> Option<Range<usize>> {
        let document = DeTable::parse(&self.text).ok()?;
        let (first, rest) = keys.split_first()?;
        let mut value = entry(document.get_ref(), first)?;
        for key in rest {
            let DeValue::Table(table) = value.get_ref() else {
                return None;
            };
            value = entry(table, key)?;
        }
        Some(value.span())
    }
}

fn entry<'a, 'i>(table: &'a DeTable<'i>, key: &str) -> Option<&'a Spanned<DeValue<'i>>> {
    table
        .iter()
        .find(|(name, _)| name.get_ref() == key)
        .map(|(_, value)| value)
}
