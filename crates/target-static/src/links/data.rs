//! References of data files: web application manifests, import maps, sitemaps.

use std::ops::Range;

use serde_json::Value;
use url::Url;

use super::reference::{Facts, Reference, Role};
use crate::html::{Dialect, Token, tokens};

/// Members of a web application manifest that are addresses, on any level (W3C Web Application
/// Manifest): those of icons, screenshots and shortcuts too.
const MANIFEST_ADDRESSES: [&str; 3] = ["src", "start_url", "url"];

/// Members whose objects hold addresses of other applications, or templates of addresses.
const MANIFEST_FOREIGN: [&str; 4] = [
    "related_applications",
    "protocol_handlers",
    "share_target",
    "file_handlers",
];

/// Collects from a web application manifest. One that is not JSON has no references.
pub(crate) fn collect_manifest(file: &str, text: &str, base: &Url, facts: &mut Facts) {
    let text = text.trim_start_matches('\u{feff}');
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        let mut addresses = Vec::new();
        manifest_addresses(&value, &mut addresses);
        for (key, address) in addresses {
            let role = if key == "src" {
                Role::Asset
            } else {
                Role::Link
            };
            let range = find_text(text, &address);
            facts.refer(reference(file, range, &address, base, role));
        }
    }
}

fn manifest_addresses(value: &Value, addresses: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(address) if MANIFEST_ADDRESSES.contains(&key.as_str()) => {
                        addresses.push((key.clone(), address.clone()));
                    }
                    _ if MANIFEST_FOREIGN.contains(&key.as_str()) => {}
                    value => manifest_addresses(value, addresses),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                manifest_addresses(item, addresses);
            }
        }
        _ => {}
    }
}

/// Takes in an import map at `offset` of a page; its addresses are references too.
pub(crate) fn collect_import_map(
    file: &str,
    text: &str,
    offset: usize,
    base: &Url,
    facts: &mut Facts,
) {
    let Ok(map) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let scopes = map.get("scopes").and_then(Value::as_object);
    let scopes = scopes.into_iter().flat_map(|scopes| scopes.values());
    for entries in map.get("imports").into_iter().chain(scopes) {
        for (name, address) in entries.as_object().into_iter().flatten() {
            let Some(address) = address.as_str() else {
                continue;
            };
            let entry = (address.to_owned(), base.clone());
            facts.import_map.entries.insert(name.clone(), entry);
            // One that ends in `/` stands for what is below it.
            if !address.ends_with('/') {
                let range = find_text(text, address);
                let range = offset + range.start..offset + range.end;
                facts.refer(reference(file, range, address, base, Role::Script));
            }
        }
    }
}

/// Collects from a sitemap (sitemaps.org protocol): its addresses are absolute.
pub(crate) fn collect_sitemap(file: &str, text: &str, base: &Url, facts: &mut Facts) {
    let mut is_location = false;
    for token in tokens(text, Dialect::Xml) {
        match token {
            Token::Start(tag) => is_location = tag.name == "loc",
            Token::Text { range } if is_location => {
                let address = text.get(range.clone()).unwrap_or("");
                let start = range.start + (address.len() - address.trim_start().len());
                let address = address.trim();
                let range = start..start + address.len();
                let address = address.replace("&amp;", "&");
                facts.refer(reference(file, range, &address, base, Role::Link));
            }
            Token::End { .. } => is_location = false,
            _ => {}
        }
    }
}

fn reference(file: &str, range: Range<usize>, text: &str, base: &Url, role: Role) -> Reference {
    Reference {
        file: file.to_owned(),
        range,
        text: text.to_owned(),
        base: base.clone(),
        role,
        is_control: false,
    }
}

/// Where a JSON text has a string; its beginning, when it is written with escapes.
fn find_text(text: &str, string: &str) -> Range<usize> {
    text.find(&format!("\"{string}\""))
        .map_or(0..0, |quote| quote + 1..quote + 1 + string.len())
}
