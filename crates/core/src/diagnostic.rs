//! What went wrong, as data: one type for the engine, the targets and the plugins. Rendering is
//! the command line's.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The build goes on and its result stands.
    Warning,
    /// The build can't start, or this target failed.
    Error,
}

/// Whose concern it is; the command's exit code follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Concern {
    /// The project's: its configuration, its sources, its tests.
    #[default]
    Project,
    /// The machine's: a tool that is missing or does not work.
    Environment,
    /// The store's or the workspace's state: no room, no permission, damaged.
    State,
    /// synth's own, or that of a target kind: a fault to be reported.
    Internal,
}

/// A position in a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct TextPosition {
    /// Line, counted from 1.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// Characters from there that are meant; 0 when only the position is known.
    #[serde(default)]
    pub length: u32,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "in", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Place {
    /// A setting of the target at hand, by its path below the target's table: `["build_args",
    /// "VERSION"]`, or `["exclude", "2"]` for the third item of a list. The engine turns it into
    /// a [`Place::File`] in the configuration.
    Setting {
        /// Keys and list indices from the target's table down.
        path: Vec<String>,
    },
    /// A file.
    File {
        /// The path, relative to the project's root where the file is inside it.
        path: String,
        /// The position, when it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<TextPosition>,
        /// The text of the line at `position`, for files that are not there any more when the
        /// diagnostic is shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line_text: Option<String>,
    },
}

/// One problem: what, where, why, and what to do about it.
///
/// ```
/// use synth_core::Diagnostic;
///
/// let diagnostic = Diagnostic::error("docker.copy.missing", "no file matches `app/*.whl`")
///     .at_line("deploy/Dockerfile", 7, "COPY app/*.whl /srv/")
///     .help("check the pattern; it is relative to `deploy`");
/// assert_eq!(diagnostic.code, "docker.copy.missing");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostic {
    /// A stable name, `area.subject.problem`: for searching and for suppressing, never renamed.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whose concern it is.
    #[serde(default)]
    pub concern: Concern,
    /// The fact, in one sentence without a final period, naming the thing.
    pub message: String,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What to do, apart from the fact; one suggestion an item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
    /// What led to it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// The target it belongs to, filled in by the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            severity: Severity::Error,
            concern: Concern::default(),
            message: message.into(),
            place: None,
            help: Vec::new(),
            causes: Vec::new(),
            target: None,
        }
    }

    /// A warning.
    pub fn warning(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, message)
        }
    }

    /// Puts it at a setting of the target.
    #[must_use]
    pub fn at_setting<S: Into<String>>(mut self, path: impl IntoIterator<Item = S>) -> Self {
        self.place = Some(Place::Setting {
            path: path.into_iter().map(Into::into).collect(),
        });
        self
    }

    /// Puts it in a file as a whole.
    #[must_use]
    pub fn in_file(mut self, path: impl Into<String>) -> Self {
        self.place = Some(Place::File {
            path: path.into(),
            position: None,
            line_text: None,
        });
        self
    }

    /// Puts it at a line (counted from 1) of a file, the whole of `line_text` being meant.
    #[must_use]
    pub fn at_line(self, path: impl Into<String>, line: u32, line_text: impl Into<String>) -> Self {
        let line_text = line_text.into();
        let indent = line_text.chars().take_while(|c| c.is_whitespace()).count();
        let length = line_text.trim().chars().count();
        let to_u32 = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let position = TextPosition {
            line,
            column: to_u32(indent).saturating_add(1),
            length: to_u32(length),
        };
        self.at(path, position, Some(line_text))
    }

    /// Puts it at a position of a file.
    #[must_use]
    pub fn at(
        mut self,
        path: impl Into<String>,
        position: TextPosition,
        line_text: Option<String>,
    ) -> Self {
        self.place = Some(Place::File {
            path: path.into(),
            position: Some(position),
            line_text,
        });
        self
    }

    /// Puts it at the bytes `span` of a text file; of a span over several lines, the first one is
    /// meant. Offsets past the end, or inside a character, are moved to the nearest before.
    #[must_use]
    pub fn at_span(self, path: impl Into<String>, text: &str, span: &Range<usize>) -> Self {
        let start = text.floor_char_boundary(span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..]
            .find('\n')
            .map_or(text.len(), |newline| start + newline);
        let end = text.floor_char_boundary(span.end).clamp(start, line_end);
        let to_u32 = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let position = TextPosition {
            line: to_u32(text[..start].matches('\n').count() + 1),
            column: to_u32(text[line_start..start].chars().count() + 1),
            length: to_u32(text[start..end].chars().count()),
        };
        let line = text[line_start..line_end].trim_end_matches('\r').to_owned();
        self.at(path, position, Some(line))
    }

    /// Makes it another one's concern than the project's.
    #[must_use]
    pub fn concerning(mut self, concern: Concern) -> Self {
        self.concern = concern;
        self
    }

    /// Adds a suggestion.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds what led to it.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds an error and everything that led to it.
    #[must_use]
    pub fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// One problem where several may be told: for `?`.
impl From<Diagnostic> for Vec<Diagnostic> {
    fn from(problem: Diagnostic) -> Self {
        vec![problem]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lines_and_columns() {
        let text = "a = 1\r\nä = ?\n";
        for (span, line, column, length, line_text) in [
            (0..1, 1, 1, 1, "a = 1"),
            (12..13, 2, 5, 1, "ä = ?"),
            (8..9, 2, 1, 1, "ä = ?"),
            (7..99, 2, 1, 5, "ä = ?"),
            (14..99, 3, 1, 0, ""),
        ] {
            let diagnostic = Diagnostic::error("a", "b").at_span("f", text, &span);
            let position = TextPosition {
                line,
                column,
                length,
            };
            let expected = Diagnostic::error("a", "b").at("f", position, Some(line_text.into()));
            assert_eq!(diagnostic, expected, "{span:?}");
        }
    }
}
