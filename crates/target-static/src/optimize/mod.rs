//! Makes pages, style sheets and scripts smaller, and nothing else: names stay, the document
//! stays the same tree, no syntax is used that the source does not need. What can't be parsed is
//! told, with its line.

mod css;
mod html;
mod js;
mod json;
mod markup;

use std::collections::BTreeSet;
use std::ops::Range;

use globset::GlobSet;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, NativeOutcome, RunContext};

use crate::html::{Dialect, Token};
use crate::plan::{SITE, TREE};
use crate::project::{Origin, shown_path};
use crate::settings::MinifyTable;
use crate::stack;
use crate::text;
use crate::tree::{self, FileType, Tree};

/// The name of the native function.
pub(crate) const FUNCTION: &str = "optimize";

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What it is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Parameters {
    pub(crate) minify: MinifyTable,
    pub(crate) origins: Vec<Origin>,
}

/// Something in a text that is not as its syntax wants it.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) diagnostic: Diagnostic,
    pub(crate) range: Range<usize>,
}

/// A text made smaller, or left as it is, with what was found in it.
#[derive(Debug, Default)]
pub(crate) struct Minified {
    /// None: the text stays as it is.
    pub(crate) text: Option<String>,
    pub(crate) problems: Vec<Problem>,
}

/// Minifies a tree.
///
/// # Errors
/// Every file with a syntax error.
pub(crate) fn run(
    parameters: &Parameters,
    context: &dyn RunContext,
) -> Result<NativeOutcome, Vec<Diagnostic>> {
    let tree = Tree::read(context.inputs().join(TREE))?;
    let optimizer = Optimizer::new(parameters, &tree)?;
    let output = context.outputs().join(TREE);
    let mut diagnostics = Vec::new();
    let mut before = 0_u64;
    let mut after = 0_u64;
    for file in tree.files() {
        if context.is_cancelled() {
            break;
        }
        let target = output.join(file);
        if !optimizer.applies_to(file) {
            tree::copy(&tree.path(file), &target)?;
            continue;
        }
        context.progress(file);
        let bytes = tree.bytes(file)?;
        let (text, mut found) = optimizer.file(file, &bytes);
        diagnostics.append(&mut found);
        let smaller = text.as_ref().map_or(bytes.as_slice(), String::as_bytes);
        before += size(&bytes);
        after += size(smaller);
        tree::write(&target, smaller)?;
    }
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(diagnostics);
    }
    context.log(&format!("{before} bytes of text became {after}"));
    let mut outcome = NativeOutcome::quiet().attribute(
        SITE,
        "minified_bytes_saved",
        before.saturating_sub(after).to_string(),
    );
    outcome.diagnostics = diagnostics;
    Ok(outcome)
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

struct Optimizer<'a> {
    parameters: &'a Parameters,
    exclude: GlobSet,
    /// Files that a page names together with a digest of their bytes.
    pinned: BTreeSet<String>,
    /// Server configuration has digests of inline scripts or styles.
    pins_inline: bool,
}

impl<'a> Optimizer<'a> {
    fn new(parameters: &'a Parameters, tree: &Tree) -> Result<Self, Vec<Diagnostic>> {
        Ok(Self {
            parameters,
            exclude: tree::patterns(&parameters.minify.exclude)?,
            pinned: pinned_files(tree)?,
            pins_inline: headers_pin_inline(tree)?,
        })
    }

    fn applies_to(&self, file: &str) -> bool {
        let minify = &self.parameters.minify;
        let wanted = match tree::file_type(file) {
            // Scripts and styles in pages are minified even where the page itself is not.
            FileType::Html => minify.html || minify.css || minify.js,
            FileType::Css => minify.css,
            FileType::Script => minify.js,
            _ => false,
        };
        let already = file
            .rsplit('/')
            .next()
            .is_some_and(|name| name.contains(".min."));
        wanted && !already && !self.exclude.is_match(file) && !self.pinned.contains(file)
    }

    /// A file's text when it has become smaller, and what was found in it.
    fn file(&self, file: &str, bytes: &[u8]) -> (Option<String>, Vec<Diagnostic>) {
        let shown = shown_path(&self.parameters.origins, file);
        let Ok(text) = str::from_utf8(bytes) else {
            return (None, vec![not_utf8(&shown)]);
        };
        let (mark, text) = match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) => (BYTE_ORDER_MARK, rest),
            None => ("", text),
        };
        let minified = stack::roomy(|| match tree::file_type(file) {
            FileType::Css => css::minify(text),
            FileType::Script => js::minify(text, js::Goal::of_file(file)),
            _ => self.page(text),
        });
        let problems = minified.problems.into_iter();
        let diagnostics = problems
            .map(|problem| text::mark(problem.diagnostic, &shown, text, &problem.range))
            .collect();
        // A text that has not become smaller stays as its author wrote it.
        let smaller = minified.text.filter(|new| new.len() < text.len());
        (smaller.map(|new| format!("{mark}{new}")), diagnostics)
    }

    fn page(&self, text: &str) -> Minified {
        let minify = &self.parameters.minify;
        let inline = !self.pins_inline;
        html::minify(
            text,
            html::Parts {
                markup: minify.html,
                styles: minify.css && inline,
                scripts: minify.js && inline,
            },
        )
    }
}

fn not_utf8(shown: &str) -> Diagnostic {
    let message = format!("`{shown}` is not UTF-8 text; it is copied as it is");
    Diagnostic::warning("static.file.encoding", message)
        .in_file(shown)
        .help("save it as UTF-8, or add it to `exclude` in the table `minify`")
}

/// The files of the site that some page names with an `integrity` attribute: other bytes, and no
/// browser would take them.
fn pinned_files(tree: &Tree) -> Result<BTreeSet<String>, Vec<Diagnostic>> {
    let mut pinned = BTreeSet::new();
    for page in tree.files() {
        if !matches!(tree::file_type(page), FileType::Html | FileType::Xhtml) {
            continue;
        }
        let bytes = tree.bytes(page)?;
        let text = String::from_utf8_lossy(&bytes);
        if !text.contains("integrity") {
            continue;
        }
        for token in crate::html::tokens(&text, Dialect::Html) {
            if let Token::Start(tag) = token
                && !tag.value("integrity").is_empty()
            {
                let reference = [tag.value("src"), tag.value("href")].concat();
                // Whatever the base path is: the end of the path names the file.
                let path = reference.split(['?', '#']).next().unwrap_or("").trim();
                let path = percent_decode_str(path).decode_utf8_lossy();
                let path = path
                    .rsplit("./")
                    .next()
                    .unwrap_or("")
                    .trim_start_matches('/');
                let named = tree.files().filter(|file| {
                    let longer = path
                        .strip_suffix(file)
                        .is_some_and(|rest| rest.ends_with('/'));
                    let shorter = file
                        .strip_suffix(path)
                        .is_some_and(|rest| rest.ends_with('/'));
                    *file == path || longer || shorter
                });
                if !path.is_empty() {
                    pinned.extend(named.map(str::to_owned));
                }
            }
        }
    }
    Ok(pinned)
}

/// Whether a file that configures a server's headers lists digests of inline scripts or styles
/// (Content Security Policy Level 3, section 2.3.1).
fn headers_pin_inline(tree: &Tree) -> Result<bool, Vec<Diagnostic>> {
    for file in [
        "_headers",
        ".htaccess",
        "staticwebapp.config.json",
        "vercel.json",
    ] {
        if tree.has(file) && markup::has_digest_source(&String::from_utf8_lossy(&tree.bytes(file)?))
        {
            return Ok(true);
        }
    }
    Ok(false)
}
