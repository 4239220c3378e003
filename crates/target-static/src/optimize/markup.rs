//! What is known about elements, comments and white space of pages.

use super::js;

/// Elements whose text is shown, or read, as it is written.
pub(super) const VERBATIM: [&str; 10] = [
    "pre",
    "textarea",
    "title",
    "listing",
    "plaintext",
    "xmp",
    "script",
    "style",
    "svg",
    "math",
];

/// Elements that may stand before the body (HTML, section 13.2.6.4.4).
pub(super) const FRAME_ELEMENTS: [&str; 10] = [
    "html", "head", "base", "link", "meta", "noscript", "script", "style", "template", "title",
];

/// Comments that something reads: conditional comments, server-side includes, licenses, markers
/// that scripts look for.
pub(super) const KEPT_COMMENTS: [&str; 24] = [
    "[",
    "]",
    "!",
    "#",
    "$",
    "/$",
    "?",
    "esi",
    "ko ",
    "/ko",
    "googleon",
    "googleoff",
    "noindex",
    "/noindex",
    "sse",
    "/sse",
    "<",
    "astro:",
    "blazor:",
    "lit-",
    "/lit-",
    "ngh",
    "qv ",
    "/qv",
];

/// Whether a text lists digests of scripts or styles (Content Security Policy Level 3, section
/// 2.3.1).
pub(super) fn has_digest_source(text: &str) -> bool {
    ["'sha256-", "'sha384-", "'sha512-"]
        .iter()
        .any(|prefix| text.contains(prefix))
}

/// What the text in an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Embedded {
    Style,
    Script(js::Goal),
    Json,
}

/// What a script element holds, by its type (HTML, section 4.12.1).
pub(super) fn script_kind(kind: &str) -> Option<Embedded> {
    let kind = kind.trim().to_ascii_lowercase();
    match kind.as_str() {
        ""
        | "text/javascript"
        | "application/javascript"
        | "text/ecmascript"
        | "application/ecmascript" => Some(Embedded::Script(js::Goal::Script)),
        "module" => Some(Embedded::Script(js::Goal::Module)),
        "importmap" | "speculationrules" | "application/json" => Some(Embedded::Json),
        kind if kind.ends_with("+json") => Some(Embedded::Json),
        _ => None,
    }
}

pub(super) fn is_kept(comment: &str) -> bool {
    let inner = comment.strip_prefix("<!--").unwrap_or(comment);
    // `<!x>` and `<?x>` are comments to a tokenizer; something else reads them.
    let is_other = !comment.starts_with("<!--");
    let inner = inner.trim_end_matches("-->");
    let lower = inner.trim_start().to_ascii_lowercase();
    is_other
        // `<!---->` and `<!-- -->` part texts that a framework takes up again one by one.
        || is_space(inner)
        || inner == "/"
        || KEPT_COMMENTS.iter().any(|start| lower.starts_with(start))
        || lower.contains("@license")
        || lower.contains("@preserve")
        || lower.contains("[endif]")
}

pub(super) fn is_space(text: &str) -> bool {
    text.chars()
        .all(|character| character.is_ascii_whitespace())
}

/// Each run of white space as one character: a line break if it had one, as
/// `white-space: pre-line` shows it. A run at the beginning goes when the text before ended in
/// one.
pub(super) fn collapse(text: &str, mut after_space: bool) -> String {
    let mut collapsed = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word_start = rest
            .find(|character: char| !character.is_ascii_whitespace())
            .unwrap_or(rest.len());
        let (space, after) = rest.split_at(word_start);
        if !space.is_empty() && !after_space {
            collapsed.push(if space.contains('\n') { '\n' } else { ' ' });
        }
        let word_end = after
            .find(|character: char| character.is_ascii_whitespace())
            .unwrap_or(after.len());
        let (word, next) = after.split_at(word_end);
        collapsed.push_str(word);
        after_space = false;
        rest = next;
    }
    collapsed
}

/// Elements without content (HTML, section 13.1.2).
pub(super) fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}
