//! Pages, made smaller without changing their tree of elements: runs of white space become one
//! character, comments go, quotes that nothing needs go, embedded scripts and styles are
//! minified.

use std::ops::Range;

use synth_core::Diagnostic;

use super::markup::{
    Embedded, FRAME_ELEMENTS, VERBATIM, collapse, has_digest_source, is_kept, is_space, is_void,
    script_kind,
};
use super::{Minified, Problem, css, js, json};
use crate::html::{Attribute, Dialect, Tag, Token, tokens};

/// What of a page is made smaller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    /// White space, comments, quotes.
    pub(crate) markup: bool,
    /// `<style>`.
    pub(crate) styles: bool,
    /// `<script>`.
    pub(crate) scripts: bool,
}

/// Minifies a page.
pub(crate) fn minify(text: &str, parts: Parts) -> Minified {
    let tokens = tokens(text, Dialect::Html);
    let keeps_inline = pins_inline(&tokens);
    let mut writer = Writer {
        text,
        parts: Parts {
            styles: parts.styles && !keeps_inline,
            scripts: parts.scripts && !keeps_inline,
            ..parts
        },
        output: String::with_capacity(text.len()),
        problems: Vec::new(),
        verbatim: Vec::new(),
        region: Region::Body,
        ends_in_space: false,
        embedded: None,
        copied_to: 0,
    };
    for token in &tokens {
        writer.token(token);
    }
    writer.copy_until(text.len());
    Minified {
        text: Some(writer.output),
        problems: writer.problems,
    }
}

/// Whether the page allows inline scripts or styles by the digest of their text.
fn pins_inline(tokens: &[Token]) -> bool {
    tokens.iter().any(|token| match token {
        Token::Start(tag) => tag.name == "meta" && has_digest_source(tag.value("content")),
        _ => false,
    })
}

/// Where white space between elements has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Region {
    /// Before and between `<html>`, `<head>` and `<body>`, and in `<head>`: it has none.
    Frame,
    /// It may be seen.
    Body,
}

struct Writer<'a> {
    text: &'a str,
    parts: Parts,
    output: String,
    problems: Vec<Problem>,
    /// Open elements whose text stays, outermost first.
    verbatim: Vec<String>,
    region: Region,
    /// The text written last ends in white space that a following one would be merged with.
    ends_in_space: bool,
    embedded: Option<Embedded>,
    /// Everything before this offset has been written or left out.
    copied_to: usize,
}

impl Writer<'_> {
    fn token(&mut self, token: &Token) {
        match token {
            Token::Problem { error, at } => self.syntax_problem(*error, *at),
            Token::Doctype { range } => {
                self.copy(range);
                self.region = Region::Frame;
            }
            Token::Comment { range } => self.comment(range),
            Token::Text { range } => self.text_token(range),
            Token::Start(tag) => self.start(tag),
            Token::End { name, range } => self.end(name, range),
        }
    }

    /// Writes what is before an offset and belongs to no token: characters that a tokenizer
    /// drops are not ours to drop.
    fn copy_until(&mut self, offset: usize) {
        if let Some(between) = self.text.get(self.copied_to..offset) {
            self.output.push_str(between);
        }
        self.copied_to = self.copied_to.max(offset);
    }

    fn copy(&mut self, range: &Range<usize>) {
        self.copy_until(range.end);
        self.ends_in_space = false;
    }

    fn replace(&mut self, range: &Range<usize>, with: &str) {
        self.copy_until(range.start);
        self.output.push_str(with);
        self.copied_to = self.copied_to.max(range.end);
    }

    fn comment(&mut self, range: &Range<usize>) {
        let source = self.text.get(range.clone()).unwrap_or("");
        if self.parts.markup && self.verbatim.is_empty() && !is_kept(source) {
            self.replace(range, "");
        } else {
            self.copy(range);
        }
    }

    fn text_token(&mut self, range: &Range<usize>) {
        let source = self.text.get(range.clone()).unwrap_or("");
        if let Some(embedded) = self.embedded.take() {
            self.embedded_text(embedded, source, range);
        } else if !self.parts.markup || !self.verbatim.is_empty() {
            self.copy(range);
        } else {
            let text = if self.region == Region::Frame && is_space(source) {
                String::new()
            } else {
                collapse(source, self.ends_in_space)
            };
            self.replace(range, &text);
            if let Some(last) = text.chars().last() {
                self.ends_in_space = last.is_ascii_whitespace();
                self.region = Region::Body;
            }
        }
    }

    fn embedded_text(&mut self, embedded: Embedded, source: &str, range: &Range<usize>) {
        let minified = match embedded {
            Embedded::Style => css::minify(source),
            Embedded::Script(goal) => js::minify(source, goal),
            Embedded::Json => json::minify(source),
        };
        for problem in minified.problems {
            self.problems.push(Problem {
                range: range.start + problem.range.start..range.start + problem.range.end,
                ..problem
            });
        }
        // What would end the element, or change how its end is found, is not written.
        let fits = |text: &String| {
            let lower = text.to_ascii_lowercase();
            !lower.contains("</s") && !lower.contains("<!--") && text.len() < source.len()
        };
        match minified.text.filter(fits) {
            Some(text) => self.replace(range, &text),
            None => self.copy(range),
        }
        self.ends_in_space = false;
    }

    fn start(&mut self, tag: &Tag) {
        let name = tag.name.as_str();
        if matches!(name, "html" | "head") {
            self.region = Region::Frame;
        } else if !FRAME_ELEMENTS.contains(&name) {
            self.region = Region::Body;
        }
        if self.parts.markup && self.verbatim.is_empty() && !tag.is_foreign {
            let written = self.tag(tag);
            self.replace(&tag.range, &written);
        } else {
            self.copy(&tag.range);
        }
        self.repeated_attributes(tag);
        let repeats = self.verbatim.iter().any(|open| open == name);
        let shows_space = tag.value("style").contains("white-space");
        let is_verbatim = VERBATIM.contains(&name) || repeats || shows_space;
        if is_verbatim && !is_void(name) && !(tag.is_foreign && tag.self_closing) {
            self.verbatim.push(name.to_owned());
        }
        self.embedded = self.embedded_in(tag);
        self.ends_in_space = false;
    }

    fn embedded_in(&self, tag: &Tag) -> Option<Embedded> {
        if tag.is_foreign {
            return None;
        }
        match tag.name.as_str() {
            "style" if self.parts.styles => {
                let kind = tag.value("type");
                matches!(kind, "" | "text/css").then_some(Embedded::Style)
            }
            "script" if self.parts.scripts && tag.attribute("src").is_none() => {
                script_kind(tag.value("type"))
            }
            _ => None,
        }
    }

    fn end(&mut self, name: &str, range: &Range<usize>) {
        if let Some(position) = self.verbatim.iter().rposition(|open| open == name) {
            self.verbatim.truncate(position);
        }
        self.embedded = None;
        match name {
            "head" | "html" | "body" => self.region = Region::Frame,
            _ => {}
        }
        let is_plain = self.parts.markup && self.verbatim.is_empty();
        if is_plain && name.is_ascii() {
            let source = self.text.get(range.clone()).unwrap_or("");
            let kept = source.trim_end_matches('>').trim_end();
            let tidy = format!("{kept}>");
            self.replace(range, &tidy);
        } else {
            self.copy(range);
        }
        self.ends_in_space = false;
    }

    /// A start tag with one space between attributes and the quotes it needs.
    fn tag(&self, tag: &Tag) -> String {
        let slice = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or("");
        // The name as it is written: `<` and what follows.
        let name_end = tag.range.start + 1 + tag.name.len();
        let mut written = slice(&(tag.range.start..name_end)).to_owned();
        for attribute in &tag.attributes {
            written.push(' ');
            written.push_str(slice(&attribute.name_range));
            if let Some(range) = &attribute.value_range {
                written.push('=');
                written.push_str(&self.quoted(attribute, slice(range), range.start));
            }
        }
        written.push('>');
        written
    }

    fn quoted(&self, attribute: &Attribute, source: &str, start: usize) -> String {
        let before = self.text.get(..start).and_then(|text| text.chars().last());
        let quote = before.filter(|quote| matches!(quote, '"' | '\''));
        let is_plain = source.chars().all(|character| {
            character.is_ascii_alphanumeric() || "-_.:/#?%+,@!*~|;".contains(character)
        });
        match quote {
            Some(quote) if !is_plain || source.ends_with('/') || attribute.value.is_empty() => {
                format!("{quote}{source}{quote}")
            }
            _ => source.to_owned(),
        }
    }

    /// Browsers take the first of two attributes of one name.
    fn repeated_attributes(&mut self, tag: &Tag) {
        for (index, attribute) in tag.attributes.iter().enumerate() {
            let before = tag.attributes.iter().take(index);
            if before.clone().any(|other| other.name == attribute.name) {
                let message = format!("`{}` is there twice in one tag", attribute.name);
                let diagnostic = Diagnostic::warning("static.html.syntax", message);
                self.problems.push(Problem {
                    diagnostic: diagnostic.help("browsers take the first: remove the other"),
                    range: attribute.name_range.clone(),
                });
            }
        }
    }

    fn syntax_problem(&mut self, error: html5gum::Error, at: usize) {
        use html5gum::Error;
        let diagnostic = match error {
            Error::EofInTag | Error::EofInComment | Error::EofInCdata => {
                let message = format!("the page ends inside of a tag or comment ({error})");
                Diagnostic::error("static.html.syntax", message).help("close it")
            }
            Error::MissingWhitespaceBetweenAttributes
            | Error::UnexpectedCharacterInAttributeName
            | Error::UnexpectedCharacterInUnquotedAttributeValue
            | Error::UnexpectedEqualsSignBeforeAttributeName
            | Error::NestedComment
            | Error::UnexpectedNullCharacter
            | Error::MissingAttributeValue => {
                let message = format!("the page's HTML has a mistake here: {error}");
                Diagnostic::warning("static.html.syntax", message)
                    .help("browsers guess what is meant; the page is published as it is written")
            }
            _ => return,
        };
        self.problems.push(Problem {
            diagnostic,
            range: at.saturating_sub(1)..at,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Parts = Parts {
        markup: true,
        styles: true,
        scripts: true,
    };

    fn check(text: &str, expected: &str) {
        let minified = minify(text, ALL);
        assert!(
            minified.problems.is_empty(),
            "{text}: {:?}",
            minified.problems
        );
        assert_eq!(minified.text.unwrap(), expected, "{text}");
    }

    #[test]
    fn white_space_is_reduced_but_never_removed_where_it_can_be_seen() {
        check("<p>a   b\n\n  c</p>  <p>", "<p>a b\nc</p> <p>");
        check("<li>a</li>\n  <li>b</li>", "<li>a</li>\n<li>b</li>");
        check("a <!-- gone --> b", "a b");
        check("<b>a </b> <i>b</i>", "<b>a </b> <i>b</i>");
        check("<p>a\u{a0} b</p>", "<p>a\u{a0} b</p>");
    }

    #[test]
    fn white_space_around_the_head_goes() {
        check(
            "<!DOCTYPE html>\n<html>\n <head>\n  <title>a  b</title>\n  <meta charset=\"utf-8\">\n </head>\n <body>\n  <p>x</p>\n </body>\n</html>\n",
            "<!DOCTYPE html><html><head><title>a  b</title><meta charset=utf-8></head><body>\n<p>x</p>\n</body></html>",
        );
    }

    #[test]
    fn preformatted_text_stays() {
        for text in [
            "<pre>\n  a\n   b <!-- c -->\n</pre>",
            "<textarea>  a  \n b</textarea>",
            "<div style=\"white-space: pre\">a  <div>b  </div>  c</div>",
            "<svg viewBox=\"0 0 1 1\"><text xml:space=\"preserve\">a  b</text></svg>",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn quotes_go_where_nothing_needs_them() {
        check(
            "<a  href=\"/a\"   title='a b' class=\"\" data-x=\"a=b\" hidden  >x</a >",
            "<a href=/a title='a b' class data-x=\"a=b\" hidden>x</a>",
        );
        check("<a href=\"/docs/\">x</a>", "<a href=\"/docs/\">x</a>");
        check("<br />", "<br>");
        check("<p id=\"é\">", "<p id=\"é\">");
    }

    #[test]
    fn comments_that_something_reads_stay() {
        for text in [
            "<!--[if lt IE 9]><script src=a.js></script><![endif]-->",
            "<!--! license -->",
            "<!--#include file=\"a.html\" -->",
            "<!-- ko if: x -->",
            "<!---->",
            "<p>Hello, <!-- -->World</p>",
            "<!--lit-part--><!--/lit-part-->",
            "<!--astro:end-->",
            "<!-- @license MIT -->",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn scripts_and_styles_in_pages_are_minified() {
        check(
            "<style>\na { color: #ff0000 }\n</style>",
            "<style>a{color:red}</style>",
        );
        check(
            "<script>\nlet a = 1 ;\n</script>",
            "<script>let a=1;</script>",
        );
        check(
            "<script type=\"application/ld+json\">\n{ \"a\": 1 }\n</script>",
            "<script type=application/ld+json>{\"a\":1}</script>",
        );
        for text in [
            "<script type=text/template> <p>  {{ x }} </p> </script>",
            "<script>let a = '\\x3C!--', b = '<\\/script>'   ;</script>",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_script_allowed_by_its_digest_stays() {
        let text = "<meta http-equiv=Content-Security-Policy content=\"script-src 'sha256-AAAA'\"><script>let a  = 1</script>";
        check(text, text);
    }

    #[test]
    fn syntax_errors_are_told_where_they_are() {
        for (text, place, is_error) in [
            ("<p>\n<script>\nlet = ;\n</script>", "let = ;", true),
            ("<p a=1 a=2>", "a=2", false),
            ("<p><a href=\"x", "", true),
        ] {
            let minified = minify(text, ALL);
            let problem = minified.problems.first().expect(text);
            assert_eq!(problem.diagnostic.is_error(), is_error, "{text}");
            let line = text
                .split('\n')
                .nth(crate::text::line(text, problem.range.start) - 1);
            assert!(line.unwrap().contains(place), "{text}");
        }
    }
}
