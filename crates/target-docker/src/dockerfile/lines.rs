//! From a Dockerfile's text to its logical lines: parser directives, comments, continuations and
//! here-documents. What a line means is left to `instruction`.

use synth_core::Diagnostic;

use super::source::SourceText;
use super::words;

/// One instruction's text, its continuation lines joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogicalLine {
    /// The line it starts at, counted from 1.
    pub(crate) line: u32,
    pub(crate) text: String,
    /// The here-documents that follow it, in order.
    pub(crate) heredocs: Vec<Heredoc>,
}

/// A here-document: `<<EOF` and the lines up to `EOF`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heredoc {
    pub(crate) name: String,
    pub(crate) content: String,
    /// Whether variables in it are replaced: the word after `<<` had no quotes.
    pub(crate) expand: bool,
}

/// The logical lines of a Dockerfile and the escape character it chose.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    pub(crate) escape: char,
    pub(crate) lines: Vec<LogicalLine>,
}

/// Splits a Dockerfile's text. Problems are added to `problems`; what can be read is still
/// returned.
pub(crate) fn split(text: &str, source: &SourceText, problems: &mut Vec<Diagnostic>) -> Lines {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let physical: Vec<&str> = text.lines().collect();
    let (escape, first) = directives(&physical, source, problems);
    let mut reader = Reader {
        physical: &physical,
        next: first,
        escape,
    };
    let mut lines = Vec::new();
    while let Some(mut line) = reader.logical_line() {
        for opening in heredoc_openings(&line.text, escape) {
            match reader.heredoc(&opening) {
                Some(heredoc) => line.heredocs.push(heredoc),
                None => problems.push(
                    source
                        .error(
                            line.line,
                            "docker.heredoc.unterminated",
                            format!("the here-document `{}` has no end", opening.name),
                        )
                        .help(format!(
                            "end it with a line that holds `{}` and nothing else",
                            opening.name
                        )),
                ),
            }
        }
        lines.push(line);
    }
    Lines { escape, lines }
}

/// Reads `# name=value` lines at the very top; the first other line ends them.
fn directives(
    physical: &[&str],
    source: &SourceText,
    problems: &mut Vec<Diagnostic>,
) -> (char, usize) {
    let mut escape = '\\';
    let mut seen: Vec<String> = Vec::new();
    for (index, text) in physical.iter().enumerate() {
        let Some((name, value)) = directive(text) else {
            return (escape, index);
        };
        if seen.contains(&name) {
            problems.push(source.error(
                line_number(index),
                "docker.directive.duplicate",
                format!("the parser directive `{name}` is there twice"),
            ));
        }
        match (name.as_str(), value) {
            ("escape", "\\") => escape = '\\',
            ("escape", "`") => escape = '`',
            ("escape", other) => problems.push(source.error(
                line_number(index),
                "docker.directive.escape",
                format!("the escape character can be \\ or `, not {other}"),
            )),
            _ => {}
        }
        seen.push(name);
    }
    (escape, physical.len())
}

fn directive(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.trim().strip_prefix('#')?.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    let known = ["syntax", "escape", "check"].contains(&name.as_str());
    let value = value.trim();
    (known && !value.is_empty()).then_some((name, value))
}

struct Reader<'a> {
    physical: &'a [&'a str],
    next: usize,
    escape: char,
}

impl Reader<'_> {
    fn logical_line(&mut self) -> Option<LogicalLine> {
        let mut started: Option<LogicalLine> = None;
        while let Some(text) = self.physical.get(self.next) {
            let number = line_number(self.next);
            self.next += 1;
            // Comments and empty lines are no part of an instruction, not even of a continued one.
            if text.trim().is_empty() || text.trim_start().starts_with('#') {
                continue;
            }
            let (part, continued) = self.continuation(text);
            let line = started.get_or_insert_with(|| LogicalLine {
                line: number,
                text: String::new(),
                heredocs: Vec::new(),
            });
            let part = if line.text.is_empty() {
                part.trim_start()
            } else {
                part
            };
            line.text.push_str(part);
            if !continued {
                break;
            }
        }
        if let Some(line) = &mut started {
            line.text.truncate(line.text.trim_end().len());
        }
        started.filter(|line| !line.text.is_empty())
    }

    /// The line without its continuation mark, and whether it had one.
    fn continuation<'t>(&self, text: &'t str) -> (&'t str, bool) {
        let trimmed = text.trim_end_matches([' ', '\t']);
        match trimmed.strip_suffix(self.escape) {
            Some(part) if !part.ends_with(self.escape) => (part, true),
            _ => (text, false),
        }
    }

    fn heredoc(&mut self, opening: &Opening) -> Option<Heredoc> {
        let mut content = String::new();
        loop {
            let text = *self.physical.get(self.next)?;
            self.next += 1;
            let text = if opening.strip_tabs {
                text.trim_start_matches('\t')
            } else {
                text
            };
            if text == opening.name {
                return Some(Heredoc {
                    name: opening.name.clone(),
                    content,
                    expand: opening.expand,
                });
            }
            content.push_str(text);
            content.push('\n');
        }
    }
}

struct Opening {
    name: String,
    expand: bool,
    strip_tabs: bool,
}

/// The here-documents that a line opens. Only instructions that take them can.
fn heredoc_openings(text: &str, escape: char) -> Vec<Opening> {
    let mut keywords = text.split_whitespace().map(str::to_ascii_uppercase);
    let keyword = match keywords.next().as_deref() {
        Some("ONBUILD") => keywords.next(),
        other => other.map(str::to_owned),
    };
    if !matches!(keyword.as_deref(), Some("RUN" | "COPY" | "ADD")) {
        return Vec::new();
    }
    words::split(text, escape)
        .iter()
        .filter_map(|word| heredoc_opening(word))
        .collect()
}

fn heredoc_opening(word: &str) -> Option<Opening> {
    let rest = word
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .strip_prefix("<<")?;
    let (strip_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let name: String = rest.chars().filter(|c| !matches!(c, '"' | '\'')).collect();
    let expand = name == rest;
    (!name.is_empty()).then_some(Opening {
        name,
        expand,
        strip_tabs,
    })
}

/// Whether a word opens a here-document, and under which name.
pub(crate) fn heredoc_name(word: &str) -> Option<String> {
    heredoc_opening(word).map(|opening| opening.name)
}

fn line_number(index: usize) -> u32 {
    u32::try_from(index.saturating_add(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(u32, &str)]) {
        let mut problems = Vec::new();
        let lines = split(text, &SourceText::new("Dockerfile", text), &mut problems);
        let actual: Vec<(u32, &str)> = lines
            .lines
            .iter()
            .map(|line| (line.line, line.text.as_str()))
            .collect();
        assert_eq!(actual, expected, "{text:?}");
        assert_eq!(problems, [], "{text:?}");
    }

    #[test]
    fn lines_are_joined_and_numbered_by_their_first() {
        for (text, expected) in [
            (
                "FROM scratch\nCMD a\n",
                &[(1, "FROM scratch"), (2, "CMD a")][..],
            ),
            ("\n# note\n  FROM scratch", &[(3, "FROM scratch")]),
            ("RUN a \\\n  b\nCMD c", &[(1, "RUN a   b"), (3, "CMD c")]),
            ("RUN a \\ \t\n# note\n\n  && b", &[(1, "RUN a   && b")]),
            ("RUN a\\\\\nCMD c", &[(1, "RUN a\\\\"), (2, "CMD c")]),
            ("# escape=`\nRUN a `\n b\\", &[(2, "RUN a  b\\")]),
            ("# a comment\n# escape=`\nRUN a \\\n b", &[(3, "RUN a  b")]),
            ("RUN a \\", &[(1, "RUN a")]),
            (
                "\u{feff}FROM scratch\r\nCMD a\r\n",
                &[(1, "FROM scratch"), (2, "CMD a")],
            ),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn heredocs_are_taken_out_of_the_lines() {
        let text = "COPY <<A <<-\"B\" /x/\none\n# two\nA\n\tthree\n\tB\nCMD c";
        check(text, &[(1, "COPY <<A <<-\"B\" /x/"), (7, "CMD c")]);
        let source = SourceText::new("Dockerfile", text);
        let lines = split(text, &source, &mut Vec::new());
        let found: Vec<_> = lines.lines[0]
            .heredocs
            .iter()
            .map(|doc| (doc.name.as_str(), doc.content.as_str(), doc.expand))
            .collect();
        assert_eq!(
            found,
            [("A", "one\n# two\n", true), ("B", "three\n", false)]
        );
    }

    #[test]
    fn a_heredoc_without_an_end_is_a_problem() {
        let text = "RUN <<EOF\na\n";
        let mut problems = Vec::new();
        split(text, &SourceText::new("Dockerfile", text), &mut problems);
        assert_eq!(problems[0].message, "the here-document `EOF` has no end");
    }
}
