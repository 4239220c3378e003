//! References of style sheets: `url()`, `@import`, `image-set()` (CSS Values Level 4, section
//! 4.5), read from the tokens, so that no mistake elsewhere hides one.

use std::ops::Range;

use cssparser::{Parser, ParserInput, Token};
use url::Url;

use super::reference::{Facts, Reference, Role};

/// Collects from a style sheet, or a piece of one at `offset` of a page.
pub(crate) fn collect(file: &str, text: &str, offset: usize, base: &Url, facts: &mut Facts) {
    let mut found = Vec::new();
    let mut input = ParserInput::new(text);
    walk(&mut Parser::new(&mut input), Context::Sheet, &mut found);
    for (address, range) in found {
        // A fragment alone names an element of the page that uses the sheet: a filter, a mask.
        if address.starts_with('#') {
            continue;
        }
        facts.refer(Reference {
            file: file.to_owned(),
            range: offset + range.start..offset + range.end,
            text: address,
            base: base.clone(),
            role: Role::Asset,
            is_control: false,
        });
    }
}

/// Where a text may be an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    /// Nowhere in particular.
    Sheet,
    /// In `url(` or `image-set(`: each text.
    Address,
    /// In a rule whose addresses are names: `@namespace`.
    Name,
}

fn walk(parser: &mut Parser<'_, '_>, context: Context, found: &mut Vec<(String, Range<usize>)>) {
    let mut context = context;
    let mut after_import = false;
    loop {
        let start = parser.position();
        let Ok(token) = parser.next_including_whitespace() else {
            return;
        };
        let token = token.clone();
        let range = start.byte_index()..parser.position().byte_index();
        let is_space = matches!(token, Token::WhiteSpace(_));
        let next = match &token {
            Token::UnquotedUrl(address) => {
                if context != Context::Name {
                    found.push((address.to_string(), range));
                }
                None
            }
            Token::QuotedString(address) => {
                if after_import || context == Context::Address {
                    found.push((address.to_string(), range));
                }
                None
            }
            Token::Function(name) => Some(match name.to_ascii_lowercase().as_str() {
                _ if context == Context::Name => Context::Name,
                "url" | "src" | "image-set" | "-webkit-image-set" => Context::Address,
                _ => Context::Sheet,
            }),
            Token::ParenthesisBlock | Token::SquareBracketBlock | Token::CurlyBracketBlock => {
                Some(Context::Sheet)
            }
            Token::AtKeyword(name) if name.eq_ignore_ascii_case("namespace") => {
                context = Context::Name;
                None
            }
            Token::Semicolon if context == Context::Name => {
                context = Context::Sheet;
                None
            }
            _ => None,
        };
        let is_import =
            matches!(&token, Token::AtKeyword(name) if name.eq_ignore_ascii_case("import"));
        after_import = is_import || (after_import && is_space);
        if let Some(inner) = next {
            let nested = parser.parse_nested_block(|nested| {
                walk(nested, inner, found);
                Ok::<(), cssparser::ParseError<'_, ()>>(())
            });
            if nested.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_with_their_place() {
        let text = r#"@charset "utf-8"; @import "a.css" screen; @import url(b.css);
@namespace svg url(http://no); .x { background: URL("c d.png"), url( e.png ); content: "no" }
@media print { .y { mask: url(#no); cursor: url(f.cur), auto;
  background: image-set("g.png" 1x, url("h.png") 2x) } }
@font-face { src: local("no"), url(i.woff2) format("woff2") } .z { --v: url(j.png); color: }"#;
        let mut facts = Facts::default();
        let base = Url::parse("http://site.invalid/a.css").unwrap();
        collect("a.css", text, 0, &base, &mut facts);
        let found: Vec<&str> = facts.references.iter().map(|r| r.text.as_str()).collect();
        assert_eq!(
            found,
            [
                "a.css", "b.css", "c d.png", "e.png", "f.cur", "g.png", "h.png", "i.woff2", "j.png"
            ]
        );
        for reference in &facts.references {
            assert!(text[reference.range.clone()].contains(&reference.text));
        }
    }
}
