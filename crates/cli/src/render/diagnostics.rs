//! Diagnostics as text: the fact, its place with the line, what led to it, what to do.

use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use synth_core::{Diagnostic, Place, Severity, TextPosition};

/// Shows diagnostics on standard error.
pub(crate) fn show(diagnostics: &[Diagnostic], root: Option<&Path>) {
    for diagnostic in diagnostics {
        crate::render::tell(&format!("{}\n", render(diagnostic, root)));
    }
}

/// One diagnostic as text, with colours that the stream takes out where they are not wanted.
pub(crate) fn render(diagnostic: &Diagnostic, root: Option<&Path>) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code.as_str());
    let mut group = Group::with_title(title);
    let line = line_of(diagnostic, root);
    match (&diagnostic.place, &line) {
        (
            Some(Place::File {
                path,
                position: Some(position),
                ..
            }),
            Some(line),
        ) => {
            let span = span(line, position);
            let snippet = Snippet::source(line.as_str())
                .path(path.as_str())
                .line_start(usize::try_from(position.line).unwrap_or(1))
                .annotation(AnnotationKind::Primary.span(span));
            group = group.element(snippet);
        }
        (Some(Place::File { path, position, .. }), _) => {
            let mut origin = Origin::path(path.as_str());
            if let Some(position) = position {
                origin = origin.line(usize::try_from(position.line).unwrap_or(1));
            }
            group = group.element(origin);
        }
        _ => {}
    }
    for cause in &diagnostic.causes {
        group = group.element(Level::NOTE.message(cause.as_str()));
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    Renderer::styled().render(&[group])
}

/// The line that is meant: as the diagnostic brings it, or as the file has it.
fn line_of(diagnostic: &Diagnostic, root: Option<&Path>) -> Option<String> {
    let Some(Place::File {
        path,
        position,
        line_text,
    }) = &diagnostic.place
    else {
        return None;
    };
    if let Some(text) = line_text {
        return Some(text.clone());
    }
    let line = usize::try_from(position.as_ref()?.line).ok()?;
    let text = std::fs::read_to_string(root?.join(path)).ok()?;
    text.lines()
        .nth(line.checked_sub(1)?)
        .map(ToOwned::to_owned)
}

/// The bytes of the line that are meant.
fn span(line: &str, position: &TextPosition) -> std::ops::Range<usize> {
    let byte_at = |column: usize| {
        line.char_indices()
            .nth(column)
            .map_or(line.len(), |(index, _)| index)
    };
    let start = usize::try_from(position.column.saturating_sub(1)).unwrap_or_default();
    let length = usize::try_from(position.length).unwrap_or_default();
    byte_at(start)..byte_at(start.saturating_add(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_shows_its_line_causes_and_help() {
        let diagnostic = Diagnostic::error("docker.copy.missing", "no file matches `a.whl`")
            .at_line("deploy/Dockerfile", 7, "  COPY ä a.whl /")
            .cause("the directory is empty")
            .help("build `api` first");
        let text = anstream::adapter::strip_str(&render(&diagnostic, None)).to_string();
        insta::assert_snapshot!(text, @"
        error[docker.copy.missing]: no file matches `a.whl`
         --> deploy/Dockerfile:7:3
          |
        7 |   COPY ä a.whl /
          |   ^^^^^^^^^^^^^^
          |
          = note: the directory is empty
          = help: build `api` first
        ");
    }
}
