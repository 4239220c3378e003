//! A Dockerfile's path and lines, so that every problem can name both.

use synth_core::Diagnostic;

/// Where a Dockerfile is and what its lines say.
#[derive(Clone, Debug)]
pub(crate) struct SourceText {
    path: String,
    lines: Vec<String>,
}

impl SourceText {
    pub(crate) fn new(path: impl Into<String>, text: &str) -> Self {
        Self {
            path: path.into(),
            lines: text.lines().map(str::to_owned).collect(),
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The text of a line, counted from 1.
    pub(crate) fn line(&self, line: u32) -> &str {
        usize::try_from(line)
            .ok()
            .and_then(|line| self.lines.get(line.checked_sub(1)?))
            .map_or("", String::as_str)
    }

    pub(crate) fn error(&self, line: u32, code: &str, message: impl Into<String>) -> Diagnostic {
        self.place(Diagnostic::error(code, message), line)
    }

    pub(crate) fn warning(&self, line: u32, code: &str, message: impl Into<String>) -> Diagnostic {
        self.place(Diagnostic::warning(code, message), line)
    }

    /// Puts a diagnostic at a line.
    pub(crate) fn place(&self, diagnostic: Diagnostic, line: u32) -> Diagnostic {
        diagnostic.at_line(self.path.as_str(), line, self.line(line))
    }
}
