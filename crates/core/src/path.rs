//! Paths inside the project: relative to the directory of synth.toml, `/` between components,
//! normalized, and never outside. What a path names on a disk is the engine's business.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A path relative to the project's root (the directory of synth.toml), in normal form: `/`
/// between components, no `.`, no `..`, no empty component. The root itself is the empty path,
/// shown as `.`.
///
/// ```
/// use synth_core::ProjectPath;
///
/// let path = ProjectPath::parse("web/./assets//logo.svg")?;
/// assert_eq!(path.as_str(), "web/assets/logo.svg");
/// assert!(ProjectPath::parse("web/../../etc/passwd").is_err());
/// # Ok::<(), synth_core::PathError>(())
/// ```
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectPath(String);

/// Why a text is not a path inside the project.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It starts at the file system's root.
    #[error("`{0}` is an absolute path; a path relative to synth.toml was expected")]
    Absolute(String),
    /// Its `..` lead out of the project.
    #[error("`{0}` leaves the project's directory")]
    Leaves(String),
    /// It holds a NUL byte.
    #[error("the path holds a NUL byte")]
    Nul,
}

impl ProjectPath {
    /// The project's root.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads and normalizes a path; `a/../b` is `b`.
    ///
    /// # Errors
    /// When the path is absolute, leaves the project or holds a NUL byte.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        Self::root().join(text)
    }

    /// This path with `text` below it, normalized. `..` may climb, but not above the root.
    ///
    /// # Errors
    /// As [`ProjectPath::parse`].
    pub fn join(&self, text: &str) -> Result<Self, PathError> {
        if text.contains('\0') {
            return Err(PathError::Nul);
        }
        if text.starts_with('/') {
            return Err(PathError::Absolute(text.to_owned()));
        }
        let mut components: Vec<&str> = self.components().collect();
        for component in text.split('/') {
            match component {
                "" | "." => {}
                ".." => {
                    if components.pop().is_none() {
                        return Err(PathError::Leaves(text.to_owned()));
                    }
                }
                name => components.push(name),
            }
        }
        Ok(Self(components.join("/")))
    }

    /// The text, empty for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the project's root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The components from the root down.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }

    /// The last component; none for the root.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.components().last()
    }

    /// The directory that holds this path; none for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let parent = self.0.rsplit_once('/').map_or("", |(parent, _)| parent);
        Some(Self(parent.to_owned()))
    }

    /// What is left of this path below `ancestor`; the empty text when they are equal.
    #[must_use]
    pub fn strip_prefix(&self, ancestor: &Self) -> Option<&str> {
        if ancestor.is_root() {
            return Some(&self.0);
        }
        let rest = self.0.strip_prefix(&ancestor.0)?;
        if rest.is_empty() {
            Some(rest)
        } else {
            rest.strip_prefix('/')
        }
    }
}

impl fmt::Display for ProjectPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_root() { "." } else { &self.0 })
    }
}

impl TryFrom<String> for ProjectPath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        Self::parse(&text)
    }
}

impl From<ProjectPath> for String {
    fn from(path: ProjectPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalized_and_stay_inside() {
        for (text, expected) in [
            ("", Ok("")),
            (".", Ok("")),
            ("a//b/./c/", Ok("a/b/c")),
            ("a/../b", Ok("b")),
            ("..", Err(PathError::Leaves("..".into()))),
            ("a/../../b", Err(PathError::Leaves("a/../../b".into()))),
            ("/etc", Err(PathError::Absolute("/etc".into()))),
            ("a\0b", Err(PathError::Nul)),
        ] {
            let actual = ProjectPath::parse(text);
            assert_eq!(
                actual.as_ref().map(ProjectPath::as_str),
                expected.as_ref().copied(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn prefixes_end_at_components() {
        let parse = |text| ProjectPath::parse(text).unwrap();
        assert_eq!(parse("web/a").strip_prefix(&parse("web")), Some("a"));
        assert_eq!(parse("web").strip_prefix(&parse("web")), Some(""));
        assert_eq!(parse("website").strip_prefix(&parse("web")), None);
        assert_eq!(parse("web").strip_prefix(&ProjectPath::root()), Some("web"));
    }
}
