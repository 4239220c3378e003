//! pyproject.toml: the tables that a build reads (PEP 517, 518, 621, 735), each value with its
//! place, and every problem that can be seen in them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{Requirement, VerbatimUrl};
use serde::Deserialize;
use synth_core::Diagnostic;
use toml::Spanned;

use crate::names::is_valid;

/// A pyproject.toml that has been read.
#[derive(Debug)]
pub(crate) struct PyProject {
    /// Its path from the root of the pipeline's project.
    pub(crate) path: String,
    text: String,
    tables: Tables,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Tables {
    build_system: Option<Spanned<BuildSystemTable>>,
    project: Option<Spanned<ProjectTable>>,
    dependency_groups: BTreeMap<String, Vec<Spanned<GroupItem>>>,
    tool: toml::Table,
}

/// `[build-system]` (PEP 517, 518).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct BuildSystemTable {
    requires: Option<Vec<Spanned<String>>>,
    build_backend: Option<Spanned<String>>,
    backend_path: Vec<Spanned<String>>,
}

/// `[project]` (PEP 621), as far as a build needs it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct ProjectTable {
    name: Option<Spanned<String>>,
    version: Option<Spanned<String>>,
    requires_python: Option<Spanned<String>>,
    dependencies: Vec<Spanned<String>>,
    optional_dependencies: BTreeMap<String, Vec<Spanned<String>>>,
    dynamic: Vec<String>,
}

/// An item of a dependency group (PEP 735).
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum GroupItem {
    /// A requirement.
    Requirement(String),
    /// Another group, all of it.
    Include {
        /// Its name.
        #[serde(rename = "include-group")]
        include_group: String,
    },
}

/// What builds the project (PEP 517).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BuildSystem {
    /// What the build environment holds.
    pub(crate) requires: Vec<String>,
    /// The backend, `module:object`.
    pub(crate) backend: String,
    /// Directories of the project that the backend is imported from.
    pub(crate) backend_path: Vec<String>,
}

impl BuildSystem {
    /// What PEP 517 says for a project that names no backend.
    pub(crate) fn legacy() -> Self {
        Self {
            requires: vec!["setuptools>=40.8.0".into()],
            backend: "setuptools.build_meta:__legacy__".into(),
            backend_path: Vec::new(),
        }
    }
}

impl PyProject {
    /// Reads a file's text.
    pub(crate) fn parse(path: &str, text: String) -> Result<Self, Diagnostic> {
        let refused = |code: &str, message: &str, error: &toml::de::Error| {
            let diagnostic = Diagnostic::error(code, format!("{message}: {}", error.message()));
            match error.span() {
                Some(span) => diagnostic.at_span(path, &text, &span),
                None => diagnostic.in_file(path),
            }
        };
        // On its own first: text that is no TOML is another matter than a key of a wrong type.
        toml::from_str::<toml::Table>(&text)
            .map_err(|error| refused("python.pyproject.syntax", "not valid TOML", &error))?;
        let tables = toml::from_str(&text)
            .map_err(|error| refused("python.pyproject.type", "a value of a wrong type", &error))?;
        Ok(Self {
            path: path.to_owned(),
            text,
            tables,
        })
    }

    /// The project's name as `[project]` or `[tool.poetry]` states it.
    pub(crate) fn name(&self) -> Option<&str> {
        let project = self.project().and_then(|project| project.name.as_ref());
        project
            .map(|name| name.as_ref().as_str())
            .or_else(|| self.tool(&["poetry", "name"]).and_then(toml::Value::as_str))
    }

    /// The Python versions it runs on.
    pub(crate) fn requires_python(&self) -> Option<VersionSpecifiers> {
        let specifiers = self.project()?.requires_python.as_ref()?;
        VersionSpecifiers::from_str(specifiers.as_ref()).ok()
    }

    /// Whether it describes something to build, not only settings of tools.
    pub(crate) fn describes_build(&self) -> bool {
        let package = self.tool(&["uv", "package"]).and_then(toml::Value::as_bool);
        let described = self.tables.build_system.is_some()
            || self.tables.project.is_some()
            || self.tool(&["poetry", "name"]).is_some();
        described && package != Some(false)
    }

    /// Its build system, defaults filled in.
    pub(crate) fn build_system(&self) -> BuildSystem {
        let legacy = BuildSystem::legacy();
        let Some(table) = self.tables.build_system.as_ref().map(Spanned::as_ref) else {
            return legacy;
        };
        let texts =
            |values: &[Spanned<String>]| values.iter().map(|v| v.as_ref().clone()).collect();
        BuildSystem {
            requires: table.requires.as_deref().map_or(legacy.requires, texts),
            backend: table
                .build_backend
                .as_ref()
                .map_or(legacy.backend, |backend| backend.as_ref().clone()),
            backend_path: texts(&table.backend_path),
        }
    }

    /// Extras by their names.
    pub(crate) fn extras(&self) -> BTreeMap<&str, Vec<&str>> {
        let project = self.project();
        let extras = project.map(|project| &project.optional_dependencies);
        extras
            .into_iter()
            .flatten()
            .map(|(name, items)| {
                let items = items.iter().map(|item| item.as_ref().as_str()).collect();
                (name.as_str(), items)
            })
            .collect()
    }

    /// Dependency groups by their names.
    pub(crate) fn groups(&self) -> BTreeMap<&str, Vec<&GroupItem>> {
        self.tables
            .dependency_groups
            .iter()
            .map(|(name, items)| (name.as_str(), items.iter().map(Spanned::as_ref).collect()))
            .collect()
    }

    /// A value below `[tool]`.
    pub(crate) fn tool(&self, path: &[&str]) -> Option<&toml::Value> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.tables.tool.get(*first)?, |value, key| value.get(key))
    }

    fn project(&self) -> Option<&ProjectTable> {
        self.tables.project.as_ref().map(Spanned::as_ref)
    }

    /// Every problem of its values.
    pub(crate) fn check(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        self.check_build_system(&mut found);
        self.check_project(&mut found);
        for items in self.tables.dependency_groups.values() {
            for item in items {
                if let GroupItem::Requirement(requirement) = item.as_ref() {
                    found.extend(self.check_requirement(requirement, item.span()));
                }
            }
        }
        found
    }

    fn check_build_system(&self, found: &mut Vec<Diagnostic>) {
        let Some(spanned) = &self.tables.build_system else {
            return;
        };
        let table = spanned.as_ref();
        match &table.requires {
            Some(requires) => found.extend(self.check_requirements(requires)),
            None => found.push(
                self.at(
                    "python.build_system.requires",
                    "[build-system] has no `requires`".into(),
                    spanned.span(),
                )
                .help("list what the build needs, such as `requires = [\"hatchling\"]` (PEP 518)"),
            ),
        }
        for path in &table.backend_path {
            let text = path.as_ref();
            if text.starts_with('/') || text.split('/').any(|component| component == "..") {
                found.push(self.at(
                    "python.build_system.backend_path",
                    format!("backend-path `{text}` leaves the project"),
                    path.span(),
                ));
            }
        }
    }

    fn check_project(&self, found: &mut Vec<Diagnostic>) {
        let Some(spanned) = &self.tables.project else {
            return;
        };
        let project = spanned.as_ref();
        if project.name.is_none() {
            found.push(
                self.at(
                    "python.project.name",
                    "[project] has no `name`".into(),
                    spanned.span(),
                )
                .help("add `name = \"...\"`; it is the one key that can't be dynamic (PEP 621)"),
            );
        }
        if let Some(name) = &project.name
            && !is_valid(name.as_ref())
        {
            found.push(
                self.at(
                    "python.project.name",
                    format!("name `{}` is not valid", name.as_ref()),
                    name.span(),
                )
                .help("use ASCII letters, digits, `-`, `_` and `.`, with a letter or digit at both ends (core metadata, \"Name\")"),
            );
        }
        let dynamic = project.dynamic.iter().any(|key| key == "version");
        match &project.version {
            Some(version) => {
                if let Err(error) = Version::from_str(version.as_ref()) {
                    found.push(self.invalid("version", version, &error));
                }
            }
            None if !dynamic => found.push(
                self.at(
                    "python.project.version",
                    "[project] has no `version`, and `dynamic` does not name it".into(),
                    spanned.span(),
                )
                .help(
                    "add `version = \"...\"`, or `dynamic = [\"version\"]` if the backend finds it",
                ),
            ),
            None => {}
        }
        if let Some(specifiers) = &project.requires_python
            && let Err(error) = VersionSpecifiers::from_str(specifiers.as_ref())
        {
            found.push(self.invalid("requires-python", specifiers, &error));
        }
        found.extend(self.check_requirements(&project.dependencies));
        for requirements in project.optional_dependencies.values() {
            found.extend(self.check_requirements(requirements));
        }
    }

    fn check_requirements(&self, requirements: &[Spanned<String>]) -> Vec<Diagnostic> {
        requirements
            .iter()
            .filter_map(|each| self.check_requirement(each.as_ref(), each.span()))
            .collect()
    }

    fn check_requirement(&self, text: &str, span: Range<usize>) -> Option<Diagnostic> {
        let reason = requirement_problem(text)?;
        let message = format!("`{text}` is not a requirement: {reason}");
        Some(
            self.at("python.requirement.syntax", message, span)
                .help("write it as PEP 508 says, such as `requests[socks]>=2.31,<3`"),
        )
    }

    fn invalid(&self, key: &str, value: &Spanned<String>, error: &dyn Display) -> Diagnostic {
        let reason = error.to_string();
        let reason = reason.lines().next().unwrap_or_default();
        self.at(
            "python.project.version",
            format!("{key} `{}` is not valid: {reason}", value.as_ref()),
            value.span(),
        )
        .help("write it as PEP 440 says")
    }

    fn at(&self, code: &str, message: String, span: Range<usize>) -> Diagnostic {
        Diagnostic::error(code, message).at_span(self.path.as_str(), &self.text, &span)
    }
}

/// What is wrong with a requirement (PEP 508); none when nothing is.
pub(crate) fn requirement_problem(text: &str) -> Option<String> {
    let error = Requirement::<VerbatimUrl>::from_str(text).err()?;
    let reason = error.message.to_string();
    Some(reason.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use synth_core::Place;

    use super::*;

    /// What `text` is refused for: `line:column code: message`.
    fn problems(text: &str) -> Vec<String> {
        let diagnostics = match PyProject::parse("api/pyproject.toml", text.into()) {
            Ok(read) => read.check(),
            Err(diagnostic) => vec![diagnostic],
        };
        let show = |diagnostic: Diagnostic| match &diagnostic.place {
            Some(Place::File {
                position: Some(position),
                ..
            }) => format!(
                "{}:{} {}: {}",
                position.line, position.column, diagnostic.code, diagnostic.message
            ),
            place => panic!("no position in {place:?}"),
        };
        diagnostics.into_iter().map(show).collect()
    }

    #[test]
    fn problems_have_their_place() {
        for (text, expected) in [
            (
                "[project]\nname = \"a\nversion = \"1\"",
                &[
                    "2:10 python.pyproject.syntax: not valid TOML: invalid basic string, expected `\"`",
                ][..],
            ),
            (
                "[project]\nname = 3",
                &[
                    "2:8 python.pyproject.type: a value of a wrong type: invalid type: integer `3`, expected a string",
                ],
            ),
            (
                "[build-system]\nbuild-backend = \"x\"\n[project]\nversion = \"one\"",
                &[
                    "1:1 python.build_system.requires: [build-system] has no `requires`",
                    "3:1 python.project.name: [project] has no `name`",
                    "4:11 python.project.version: version `one` is not valid: expected version to start with a number, but no leading ASCII digits were found",
                ],
            ),
            (
                "[project]\nname = \"a\"\ndependencies = [\n  \"b>=1\",\n  \"c d\",\n]",
                &[
                    "1:1 python.project.version: [project] has no `version`, and `dynamic` does not name it",
                    "5:3 python.requirement.syntax: `c d` is not a requirement: Expected one of `@`, `(`, `<`, `=`, `>`, `~`, `!`, `;`, found `d`",
                ],
            ),
            (
                "[build-system]\nrequires = []\nbackend-path = [\"../x\"]",
                &["3:17 python.build_system.backend_path: backend-path `../x` leaves the project"],
            ),
            ("[tool.ruff]\nline-length = 100", &[]),
        ] {
            assert_eq!(problems(text), expected, "{text}");
        }
    }

    #[test]
    fn build_systems_have_the_defaults_of_the_standard() {
        for (text, expected) in [
            ("", BuildSystem::legacy()),
            (
                "[build-system]\nrequires = [\"x\"]",
                BuildSystem {
                    requires: vec!["x".into()],
                    ..BuildSystem::legacy()
                },
            ),
            (
                "[build-system]\nrequires = []\nbuild-backend = \"b:c\"\nbackend-path = [\".\"]",
                BuildSystem {
                    requires: vec![],
                    backend: "b:c".into(),
                    backend_path: vec![".".into()],
                },
            ),
        ] {
            let read = PyProject::parse("pyproject.toml", text.into()).unwrap();
            assert_eq!(read.build_system(), expected, "{text}");
        }
    }
}
