//! Places in a text file, as parsers of other formats and diagnostics say them.

use std::ops::Range;

use synth_core::{Diagnostic, Place};

/// A longer line is not shown with a diagnostic: it is a machine's, and nobody reads it.
const LONGEST_SHOWN_LINE: usize = 400;

/// Puts a diagnostic at a range of bytes of a file.
pub(crate) fn mark(
    diagnostic: Diagnostic,
    path: &str,
    text: &str,
    range: &Range<usize>,
) -> Diagnostic {
    let mut diagnostic = diagnostic.at_span(path, text, range);
    if let Some(Place::File { line_text, .. }) = &mut diagnostic.place {
        line_text.take_if(|line| line.len() > LONGEST_SHOWN_LINE);
    }
    diagnostic
}

/// The line of an offset, counted from 1.
pub(crate) fn line(text: &str, offset: usize) -> usize {
    let before = text.get(..text.floor_char_boundary(offset)).unwrap_or("");
    before.matches('\n').count() + 1
}

/// The offset of a line and a column, both counted from 0, the column in UTF-16 code units as
/// style sheet parsers count them.
pub(crate) fn offset(text: &str, line: usize, utf16_column: usize) -> usize {
    let mut starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    let start = starts.nth(line).unwrap_or(text.len());
    let rest = text.get(start..).unwrap_or("");
    let mut units = 0;
    let reached = rest.char_indices().find(|(_, character)| {
        let is_there = units >= utf16_column || *character == '\n';
        units += character.len_utf16();
        is_there
    });
    start + reached.map_or(rest.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_become_offsets_and_back() {
        let text = "one\ntwö three\r\nfour";
        for (line, column, expected) in [
            (0, 0, 0),
            (1, 4, 9),
            (1, 99, 15),
            (2, 0, 16),
            (7, 0, text.len()),
        ] {
            assert_eq!(offset(text, line, column), expected, "{line}:{column}");
        }
        assert_eq!(super::line(text, 9), 2);
        assert_eq!(super::line(text, 99), 3);
    }

    #[test]
    fn a_machines_line_is_not_shown() {
        for (length, is_shown) in [(LONGEST_SHOWN_LINE, true), (LONGEST_SHOWN_LINE + 1, false)] {
            let text = "x".repeat(length);
            let diagnostic = mark(Diagnostic::error("a", "b"), "f", &text, &(5..6));
            let Some(Place::File { line_text, .. }) = diagnostic.place else {
                panic!("no place");
            };
            assert_eq!(line_text.is_some(), is_shown);
        }
    }
}
