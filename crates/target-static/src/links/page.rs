//! References and anchors of pages, and of SVG images.

use std::ops::Range;

use url::Url;

use super::reference::{Facts, Pinned, Reference, Role};
use super::{data, script, style};
use crate::html::{Attribute, Dialect, Tag, Token, tokens};

/// Attributes that hold one address (HTML, section "Attributes"): element, attribute and what it
/// is for. Addresses of forms are left out: what answers them is no file.
const ADDRESSES: [(&str, &str, Role); 22] = [
    ("a", "href", Role::Link),
    ("area", "href", Role::Link),
    ("iframe", "src", Role::Link),
    ("frame", "src", Role::Link),
    ("img", "src", Role::Asset),
    ("input", "src", Role::Asset),
    ("embed", "src", Role::Asset),
    ("object", "data", Role::Asset),
    ("source", "src", Role::Asset),
    ("track", "src", Role::Asset),
    ("audio", "src", Role::Asset),
    ("video", "src", Role::Asset),
    ("video", "poster", Role::Asset),
    ("body", "background", Role::Asset),
    ("script", "src", Role::Script),
    // SVG, inside of pages and alone.
    ("use", "href", Role::Asset),
    ("use", "xlink:href", Role::Asset),
    ("image", "href", Role::Asset),
    ("image", "xlink:href", Role::Asset),
    ("feimage", "href", Role::Asset),
    ("feimage", "xlink:href", Role::Asset),
    ("a", "xlink:href", Role::Link),
];

/// Links that a browser opens a connection for, or that a program other than a browser reads.
const NOT_DOCUMENTS: [&str; 9] = [
    "preconnect",
    "dns-prefetch",
    "pingback",
    "edituri",
    "webmention",
    "micropub",
    "authorization_endpoint",
    "token_endpoint",
    "me",
];

/// Metadata whose content is an address: Open Graph, Twitter cards, tiles.
const META_ADDRESSES: [&str; 9] = [
    "og:image",
    "og:image:url",
    "og:url",
    "og:video",
    "og:audio",
    "twitter:image",
    "twitter:player",
    "msapplication-tileimage",
    "msapplication-config",
];

struct Collector<'a> {
    file: &'a str,
    text: &'a str,
    base: Url,
    facts: &'a mut Facts,
}

/// Collects from a page whose address is `base`.
pub(crate) fn collect(file: &str, text: &str, base: &Url, facts: &mut Facts) {
    collect_tokens(file, text, base, Dialect::Html, facts);
}

/// Collects from an SVG image whose address is `base`.
pub(crate) fn collect_svg(file: &str, text: &str, base: &Url, facts: &mut Facts) {
    collect_tokens(file, text, base, Dialect::Xml, facts);
}

fn collect_tokens(file: &str, text: &str, base: &Url, dialect: Dialect, facts: &mut Facts) {
    facts.ids.entry(file.to_owned()).or_default();
    let mut collector = Collector {
        file,
        text,
        base: base.clone(),
        facts,
    };
    // The first `<base>` counts, wherever it is.
    let tokens = tokens(text, dialect);
    let said = tokens.iter().find_map(|token| match token {
        Token::Start(tag) if tag.name == "base" => tag.attribute("href"),
        _ => None,
    });
    if let Some(url) = said.and_then(|said| base.join(&said.value).ok()) {
        collector.base = url;
    }
    let mut open: Option<&Tag> = None;
    for token in &tokens {
        match token {
            Token::Start(tag) => {
                collector.tag(tag);
                open = Some(tag);
            }
            Token::Text { range } => {
                if let Some(tag) = open {
                    collector.content(tag, range);
                }
            }
            Token::End { .. } => open = None,
            _ => {}
        }
    }
}

impl Collector<'_> {
    fn reference(&self, text: &str, range: Range<usize>, role: Role) -> Reference {
        Reference {
            file: self.file.to_owned(),
            range,
            text: text.to_owned(),
            base: self.base.clone(),
            role,
            is_control: false,
        }
    }

    fn refer(&mut self, attribute: &Attribute, role: Role) {
        let reference = self.reference(&attribute.value, attribute.range(), role);
        self.facts.refer(reference);
    }

    fn tag(&mut self, tag: &Tag) {
        self.anchors(tag);
        for (element, name, role) in ADDRESSES {
            if tag.name == element
                && let Some(attribute) = tag.attribute(name)
            {
                let reference = self.reference(&attribute.value, attribute.range(), role);
                self.facts.refer(Reference {
                    is_control: is_control(tag),
                    ..reference
                });
            }
        }
        if let Some(attribute) = tag.attribute("style") {
            let offset = attribute.range().start;
            style::collect(self.file, &attribute.value, offset, &self.base, self.facts);
        }
        match tag.name.as_str() {
            "img" | "source" => self.candidates(tag, "srcset"),
            "link" => self.link(tag),
            "meta" => self.meta(tag),
            _ => {}
        }
        self.integrity(tag);
    }

    fn anchors(&mut self, tag: &Tag) {
        let names = [
            tag.attribute("id"),
            tag.attribute("xml:id"),
            tag.attribute("name").filter(|_| tag.name == "a"),
        ];
        let ids = self.facts.ids.entry(self.file.to_owned()).or_default();
        ids.extend(names.into_iter().flatten().map(|name| name.value.clone()));
    }

    fn link(&mut self, tag: &Tag) {
        let relations = tag.value("rel").to_ascii_lowercase();
        let mut relations = relations.split_ascii_whitespace().peekable();
        let mut role = Role::Asset;
        if relations.peek().is_none() {
            return;
        }
        for relation in relations {
            match relation {
                relation if NOT_DOCUMENTS.contains(&relation) => return,
                "manifest" => role = Role::Manifest,
                "modulepreload" => role = Role::Script,
                "canonical" | "alternate" | "next" | "prev" | "author" | "help" | "license" => {
                    role = Role::Link;
                }
                _ => {}
            }
        }
        if let Some(attribute) = tag.attribute("href") {
            self.refer(attribute, role);
        }
        self.candidates(tag, "imagesrcset");
    }

    fn meta(&mut self, tag: &Tag) {
        let Some(content) = tag.attribute("content") else {
            return;
        };
        let name = [tag.value("property"), tag.value("name")].concat();
        if META_ADDRESSES.contains(&name.to_ascii_lowercase().as_str()) {
            self.refer(content, Role::Asset);
        }
        if tag.value("http-equiv").eq_ignore_ascii_case("refresh")
            && let Some((_, address)) = content
                .value
                .split_once(['='])
                .filter(|(before, _)| before.trim_end().to_ascii_lowercase().ends_with("url"))
        {
            let address = address.trim().trim_matches(['\'', '"']);
            let reference = self.reference(address, content.range(), Role::Link);
            self.facts.refer(reference);
        }
    }

    /// The addresses of a `srcset` (HTML, section 4.8.4.2.1).
    fn candidates(&mut self, tag: &Tag, name: &str) {
        let Some(attribute) = tag.attribute(name) else {
            return;
        };
        for address in srcset_addresses(&attribute.value) {
            let reference = self.reference(address, self.part(attribute, address), Role::Asset);
            self.facts.refer(reference);
        }
    }

    /// Where a part of an attribute's value is, or all of it when it is written otherwise.
    fn part(&self, attribute: &Attribute, part: &str) -> Range<usize> {
        let range = attribute.range();
        let source = self.text.get(range.clone()).unwrap_or("");
        source.find(part).map_or(range.clone(), |offset| {
            range.start + offset..range.start + offset + part.len()
        })
    }

    fn integrity(&mut self, tag: &Tag) {
        let integrity = tag.value("integrity").trim();
        let address = tag.attribute("src").or_else(|| tag.attribute("href"));
        if let Some(address) = address
            && !integrity.is_empty()
        {
            let reference = self.reference(&address.value, address.range(), Role::Asset);
            self.facts.pinned.push(Pinned {
                reference,
                integrity: integrity.to_owned(),
            });
        }
    }

    /// What is inside of `<style>` and `<script>`.
    fn content(&mut self, tag: &Tag, range: &Range<usize>) {
        let text = self.text.get(range.clone()).unwrap_or("");
        match tag.name.as_str() {
            "style" => style::collect(self.file, text, range.start, &self.base, self.facts),
            "script" if tag.attribute("src").is_none() => {
                let kind = tag.value("type").trim().to_ascii_lowercase();
                match kind.as_str() {
                    "" | "module" | "text/javascript" | "application/javascript" => {
                        let place = script::Place {
                            file: self.file,
                            offset: range.start,
                            base: &self.base,
                            page: Some(&self.base),
                        };
                        script::collect(text, &place, self.facts);
                    }
                    "importmap" => {
                        data::collect_import_map(
                            self.file,
                            text,
                            range.start,
                            &self.base,
                            self.facts,
                        );
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// Whether a link is said to be a button, a tab or the like, which a script makes it.
fn is_control(tag: &Tag) -> bool {
    tag.attributes.iter().any(|attribute| {
        let name = attribute.name.as_str();
        let is_toggle = name.starts_with("data-") && name.ends_with("toggle");
        let opens = ["aria-controls", "aria-expanded", "aria-haspopup", "onclick"].contains(&name);
        is_toggle || opens || (name == "role" && attribute.value != "link")
    })
}

fn srcset_addresses(value: &str) -> Vec<&str> {
    let mut addresses = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches(|character: char| {
            character.is_ascii_whitespace() || character == ','
        });
        if rest.is_empty() {
            return addresses;
        }
        let end = rest.find(|character: char| character.is_ascii_whitespace());
        let (address, after) = rest.split_at(end.unwrap_or(rest.len()));
        addresses.push(address.trim_end_matches(','));
        // A comma at its end closes the candidate; otherwise a descriptor follows.
        rest = if address.ends_with(',') {
            after
        } else {
            after.split_once(',').map_or("", |(_, next)| next)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_told_apart() {
        for (value, addresses) in [
            ("a.png", vec!["a.png"]),
            ("a.png 1x, b.png 2x", vec!["a.png", "b.png"]),
            (
                "a.png, b,c.png 2x,\n d.png 3x",
                vec!["a.png", "b,c.png", "d.png"],
            ),
            (
                " data:image/png;base64,AA== 1x, b.png",
                vec!["data:image/png;base64,AA==", "b.png"],
            ),
        ] {
            assert_eq!(srcset_addresses(value), addresses, "{value}");
        }
    }

    #[test]
    fn references_are_found_wherever_a_page_has_them() {
        let text = r##"
            <base href="/base/"><a href="a">x</a><img src="b" srcset="c 1x, d 2x">
            <link rel="stylesheet" href="e"><link rel="preconnect" href="no">
            <video poster="f"></video><script src="g"></script><svg><use href="h#i"/></svg>
            <meta http-equiv="refresh" content="3; url=j"><meta property="og:image" content="k">
            <p style="background: url(l)"></p><style>p { background: url('m') }</style>
            <noscript><img src="n"></noscript><object data="o"></object>
            <script type="module">import "./p"; new Worker("q")</script>
            <a href="{{ link }}">x</a><form action="no"></form><img src="">
            "##;
        let mut facts = Facts::default();
        let base = Url::parse("http://site.invalid/x/index.html").unwrap();
        collect("x/index.html", text, &base, &mut facts);
        let found: Vec<&str> = facts.references.iter().map(|r| r.text.as_str()).collect();
        insta::assert_snapshot!(found.join(" "), @"a b c d e f g h#i j k l m n o ./p q");
        let all_have_the_base = facts
            .references
            .iter()
            .all(|reference| reference.base.path() == "/base/");
        assert!(all_have_the_base);
        for reference in &facts.references {
            assert!(
                text[reference.range.clone()].contains(&reference.text),
                "{reference:?}"
            );
        }
    }
}
