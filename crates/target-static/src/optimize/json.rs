//! JSON in pages: white space between its tokens goes, every token stays as it is written.

use serde::de::IgnoredAny;
use synth_core::Diagnostic;

use super::{Minified, Problem};
use crate::text::offset;

/// Minifies a JSON text (RFC 8259).
pub(crate) fn minify(text: &str) -> Minified {
    // A place that a script fills.
    if text.trim().is_empty() {
        return Minified::default();
    }
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        let line = error.line().saturating_sub(1);
        let offset = offset(text, line, error.column().saturating_sub(1));
        let diagnostic =
            Diagnostic::error("static.json.syntax", "this is not JSON").cause(error.to_string());
        return Minified {
            text: None,
            problems: vec![Problem {
                diagnostic,
                range: offset..offset + 1,
            }],
        };
    }
    let mut output = String::with_capacity(text.len());
    let mut in_string = false;
    let mut is_escaped = false;
    for character in text.chars() {
        if in_string {
            in_string = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
        } else if character.is_ascii_whitespace() {
            continue;
        } else {
            in_string = character == '"';
        }
        output.push(character);
    }
    Minified {
        text: Some(output),
        problems: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_numbers_stay_as_they_are_written() {
        let text =
            "{ \"a b\" : [ 1.0, 12345678901234567890 ],\n \"c\\\" d\": \"\\\\\" , \"e\" : 1 }";
        insta::assert_snapshot!(
            minify(text).text.unwrap(),
            @r#"{"a b":[1.0,12345678901234567890],"c\" d":"\\","e":1}"#
        );
    }

    #[test]
    fn a_place_for_json_is_no_mistake() {
        let minified = minify("\n  ");
        assert!(minified.text.is_none() && minified.problems.is_empty());
    }

    #[test]
    fn what_is_not_json_is_told() {
        let minified = minify("{\n  \"a\": ,\n}");
        assert!(minified.text.is_none());
        assert_eq!(minified.problems[0].range, 9..10);
    }
}
