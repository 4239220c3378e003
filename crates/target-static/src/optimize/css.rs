//! Style sheets, printed smaller by Lightning CSS. Its merging of declarations stays off: that
//! drops fallbacks for older browsers.

use cssparser::{Parser, ParserInput, Token};
use lightningcss::error::{Error, ParserError};
use lightningcss::printer::PrinterOptions;
use lightningcss::stylesheet::{ParserOptions, StyleSheet};
use lightningcss::targets::{Features, Targets};
use synth_core::Diagnostic;

use super::{Minified, Problem};
use crate::text;

/// Newer notations that would be shorter, but that a browser the author supports may not read.
const KEEP_OLD_NOTATION: Features = Features::MediaRangeSyntax
    .union(Features::MediaIntervalSyntax)
    .union(Features::HexAlphaColors)
    .union(Features::SpaceSeparatedColorNotation)
    .union(Features::DoublePositionGradients);

/// Minifies a style sheet. One with a syntax error stays as it is, since browsers take the rest
/// of it, and is told.
pub(crate) fn minify(text: &str) -> Minified {
    let charset = charset(text);
    if let Some(charset) = &charset
        && !charset.eq_ignore_ascii_case("utf-8")
        && !text.is_ascii()
    {
        return Minified {
            text: None,
            problems: vec![other_charset(charset)],
        };
    }
    let options = || PrinterOptions {
        minify: true,
        targets: Targets {
            include: KEEP_OLD_NOTATION,
            ..Targets::default()
        },
        ..PrinterOptions::default()
    };
    let mut sheet = match StyleSheet::parse(text, ParserOptions::default()) {
        Ok(sheet) => sheet,
        Err(error) => return syntax_error(text, &error),
    };
    // Those at the beginning alone, as it found them.
    sheet.license_comments = license_comments(text).into_iter().map(Into::into).collect();
    let Ok(printed) = sheet.to_css(options()) else {
        return Minified::default();
    };
    let mut code = printed.code;
    if text.is_ascii() {
        code = escape_non_ascii(&code);
    } else if charset.is_some() {
        // It must be the very first bytes (CSS Syntax Level 3, section 3.2).
        code.insert_str(0, "@charset \"utf-8\";");
    }
    Minified {
        text: Some(code),
        problems: Vec::new(),
    }
}

fn syntax_error(text: &str, error: &Error<ParserError<'_>>) -> Minified {
    let index = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let offset = error.loc.as_ref().map_or(0, |place| {
        text::offset(
            text,
            index(place.line),
            index(place.column.saturating_sub(1)),
        )
    });
    let diagnostic = Diagnostic::warning(
        "static.css.syntax",
        format!("the style sheet is not minified: {}", error.kind),
    )
    .help("browsers skip what they don't understand; correct it if it is a mistake")
    .help("leave the file out with `exclude` in the table `minify` if it is meant");
    Minified {
        text: None,
        problems: vec![Problem {
            diagnostic,
            range: offset..offset + 1,
        }],
    }
}

fn other_charset(charset: &str) -> Problem {
    let message = format!("the style sheet says that it is {charset}, but its bytes are UTF-8");
    Problem {
        diagnostic: Diagnostic::warning("static.css.charset", message)
            .help("write @charset \"utf-8\"; the file is copied as it is"),
        range: 0..8,
    }
}

/// The encoding that a style sheet says it has.
fn charset(text: &str) -> Option<String> {
    let rest = text.strip_prefix("@charset \"")?;
    let (name, _) = rest.split_once("\";")?;
    Some(name.to_owned())
}

/// The comments that are meant to stay: `/*! .. */`, `@license`, `@preserve`.
fn license_comments(text: &str) -> Vec<&str> {
    let mut comments = Vec::new();
    let mut input = ParserInput::new(text);
    collect_comments(&mut Parser::new(&mut input), &mut comments);
    comments
}

fn collect_comments<'i>(parser: &mut Parser<'i, '_>, comments: &mut Vec<&'i str>) {
    while let Ok(token) = parser.next_including_whitespace_and_comments() {
        match token {
            Token::Comment(comment) if is_license(comment) => comments.push(comment),
            Token::Function(_)
            | Token::ParenthesisBlock
            | Token::SquareBracketBlock
            | Token::CurlyBracketBlock => {
                let nested = parser.parse_nested_block(|nested| {
                    collect_comments(nested, comments);
                    Ok::<(), cssparser::ParseError<'_, ()>>(())
                });
                if nested.is_err() {
                    return;
                }
            }
            _ => {}
        }
    }
}

fn is_license(comment: &str) -> bool {
    comment.starts_with('!') || comment.contains("@license") || comment.contains("@preserve")
}

/// A source without such characters gets none: whoever embeds it may have another encoding.
fn escape_non_ascii(code: &str) -> String {
    let mut escaped = String::with_capacity(code.len());
    for character in code.chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            // The space ends the escape (CSS Syntax Level 3, section 4.3.7).
            escaped.push_str(&format!("\\{:x} ", u32::from(character)));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_sheets_become_smaller_and_mean_the_same() {
        for (text, expected) in [
            ("a {\n  color: #ff0000;\n}\n", "a{color:red}"),
            (
                "a { width: 90%; width: calc(100% - 10px) }",
                "a{width:90%;width:calc(100% - 10px)}",
            ),
            (
                "@media (min-width: 600px) { a { color: rgba(0, 0, 0, .5) } }",
                "@media (min-width:600px){a{color:rgba(0,0,0,.5)}}",
            ),
            (
                "a { top: 0; right: 0; bottom: 0; left: 0 }",
                "a{top:0;right:0;bottom:0;left:0}",
            ),
            (
                "a::before { content: \"\\f101\" }",
                "a:before{content:\"\\f101 \"}",
            ),
            (
                "@charset \"UTF-8\";\na::before { content: \"é\" }",
                "@charset \"utf-8\";a:before{content:\"é\"}",
            ),
            (
                "/* gone */ a { b: c } /*! kept */ d { top: 0 /* @license X */ }\n/*# sourceMappingURL=a.css.map */",
                "/*! kept *//* @license X */a{b:c}d{top:0}",
            ),
        ] {
            let minified = minify(text);
            assert!(minified.problems.is_empty(), "{:?}", minified.problems);
            assert_eq!(minified.text.unwrap().replace('\n', ""), expected);
        }
    }

    #[test]
    fn a_syntax_error_is_told_and_nothing_is_lost() {
        let text = "a { color: red }\nb { color: }}\nc { d: e }\n";
        let minified = minify(text);
        assert_eq!(minified.text, None);
        assert_eq!(text::line(text, minified.problems[0].range.start), 2);
    }
}
