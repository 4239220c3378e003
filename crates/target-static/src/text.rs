//! Places in a text file: byte offsets to the lines and columns that a diagnostic shows.

use std::ops::Range;

use synth_core::{Diagnostic, TextPosition};

/// A longer line is not shown with a diagnostic: it is a machine's, and nobody reads it.
const LONGEST_SHOWN_LINE: usize = 400;

/// A text whose offsets can be told as lines.
pub(crate) struct SourceText<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> SourceText<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(offset, _)| offset + 1);
        Self {
            text,
            line_starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// Puts `diagnostic` at a range of bytes of the file that is shown as `path`.
    pub(crate) fn mark(
        &self,
        diagnostic: Diagnostic,
        path: &str,
        range: Range<usize>,
    ) -> Diagnostic {
        let (position, line_text) = self.locate(range);
        diagnostic.at(path, position, line_text)
    }

    /// The position of a range of bytes, and its line unless that is too long to show. What goes
    /// beyond the line is not meant any more.
    pub(crate) fn locate(&self, range: Range<usize>) -> (TextPosition, Option<String>) {
        let start = floor_boundary(self.text, range.start);
        let line = self.line_starts.partition_point(|&first| first <= start);
        let first = self
            .line_starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(0);
        let rest = self.text.get(first..).unwrap_or("");
        let line_text = rest.split(['\n', '\r']).next().unwrap_or("");
        let line_end = first + line_text.len();
        let start = start.min(line_end);
        let end = floor_boundary(self.text, range.end).clamp(start, line_end);
        let count = |range: Range<usize>| self.text.get(range).unwrap_or("").chars().count();
        let position = TextPosition {
            line: number(line),
            column: number(count(first..start)).saturating_add(1),
            length: number(count(start..end)),
        };
        let shown = line_text.len() <= LONGEST_SHOWN_LINE;
        (position, shown.then(|| line_text.to_owned()))
    }

    /// The offset of a line and a column, both counted from 0, the column in UTF-16 code units
    /// as style sheet parsers count them.
    pub(crate) fn offset(&self, line: u32, utf16_column: u32) -> usize {
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        let first = self.line_starts.get(line).copied();
        let first = first.unwrap_or(self.text.len());
        let mut units = 0;
        let target = usize::try_from(utf16_column).unwrap_or(usize::MAX);
        let rest = self.text.get(first..).unwrap_or("");
        let before = rest.char_indices().find(|(_, character)| {
            let reached = units >= target || *character == '\n';
            units += character.len_utf16();
            reached
        });
        first + before.map_or(rest.len(), |(offset, _)| offset)
    }
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_lines_and_columns() {
        let text = "one\ntwö three\r\nfour";
        let source = SourceText::new(text);
        for (range, line, column, length, shown) in [
            (0..3, 1, 1, 3, "one"),
            (4..8, 2, 1, 3, "twö three"),
            (9..14, 2, 5, 5, "twö three"),
            (9..19, 2, 5, 5, "twö three"),
            (16..20, 3, 1, 4, "four"),
            (20..99, 3, 5, 0, "four"),
        ] {
            let (position, line_text) = source.locate(range.clone());
            assert_eq!(
                (position.line, position.column, position.length),
                (line, column, length),
                "{range:?}"
            );
            assert_eq!(line_text.as_deref(), Some(shown));
        }
        assert_eq!(source.offset(1, 4), 9);
        assert_eq!(source.offset(2, 0), 16);
        assert_eq!(source.offset(7, 0), text.len());
    }

    #[test]
    fn a_machines_line_is_not_shown() {
        let text = "x".repeat(LONGEST_SHOWN_LINE + 1);
        assert_eq!(SourceText::new(&text).locate(5..6).1, None);
    }
}
