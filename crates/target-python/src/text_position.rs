//! From a byte offset in a text to the line and column that people count.

use std::ops::Range;

use synth_core::{Diagnostic, TextPosition};

/// Puts a diagnostic at the bytes `span` of the file `path` with the given text.
pub(crate) fn at_span(
    diagnostic: Diagnostic,
    path: &str,
    text: &str,
    span: Range<usize>,
) -> Diagnostic {
    let start = floor(text, span.start);
    let end = floor(text, span.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[start..]
        .find('\n')
        .map_or(text.len(), |newline| start + newline);
    let position = TextPosition {
        line: count(text[..start].matches('\n').count() + 1),
        column: count(text[line_start..start].chars().count() + 1),
        length: count(text[start..end.min(line_end)].chars().count()),
    };
    let line = text[line_start..line_end].trim_end_matches('\r').to_owned();
    diagnostic.at(path, position, Some(line))
}

/// The nearest start of a character at or before an offset.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use synth_core::Place;

    use super::*;

    #[test]
    fn offsets_become_lines_and_columns() {
        let text = "a = 1\r\nä = ?\n";
        for (span, line, column, length, line_text) in [
            (0..1, 1, 1, 1, "a = 1"),
            (12..13, 2, 5, 1, "ä = ?"),
            (8..9, 2, 1, 1, "ä = ?"),
            (14..99, 3, 1, 0, ""),
        ] {
            let diagnostic = at_span(Diagnostic::error("a", "b"), "f", text, span.clone());
            let expected = Place::File {
                path: "f".into(),
                position: Some(TextPosition {
                    line,
                    column,
                    length,
                }),
                line_text: Some(line_text.into()),
            };
            assert_eq!(diagnostic.place, Some(expected), "{span:?}");
        }
    }
}
