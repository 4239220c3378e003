//! What is said about broken references: each target once, with every place that names it.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use synth_core::{Diagnostic, RunContext, Severity};

use super::Parameters;
use super::reference::{Pinned, Reference, Role};
use super::resolve::Missing;
use crate::project::shown_path;
use crate::settings::CheckMode;
use crate::text;
use crate::tree::Tree;

/// More places of one broken target are in the log alone.
const PLACES_SHOWN: usize = 10;

/// The problems found so far.
pub(crate) struct Report<'a> {
    parameters: &'a Parameters,
    /// By code and message: what is wrong, and where it is said.
    problems: BTreeMap<(&'static str, String), Problem>,
}

struct Problem {
    help: Vec<String>,
    places: Vec<Reference>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(parameters: &'a Parameters) -> Self {
        Self {
            parameters,
            problems: BTreeMap::new(),
        }
    }

    fn add(
        &mut self,
        code: &'static str,
        message: String,
        reference: &Reference,
        help: impl IntoIterator<Item = String>,
    ) {
        let problem = self.problems.entry((code, message));
        let problem = problem.or_insert_with(|| Problem {
            help: help.into_iter().collect(),
            places: Vec::new(),
        });
        problem.places.push(reference.clone());
    }

    pub(crate) fn missing(&mut self, reference: &Reference, path: &str, missing: &Missing) {
        let code = match (missing, reference.role) {
            (Missing::Case(_), _) => "static.link.case",
            (_, Role::Link) => "static.link.missing",
            (_, Role::Import) => "static.import.missing",
            _ => "static.asset.missing",
        };
        let what = match reference.role {
            Role::Link => "link",
            Role::Asset => "reference",
            Role::Manifest => "web application manifest",
            Role::Script => "script",
            Role::Import => "import",
        };
        let shown = if path.is_empty() { "/" } else { path };
        let message = match missing {
            Missing::Index { .. } => format!("broken {what}: the directory `{shown}` has no page"),
            _ => format!("broken {what}: the site has no `{shown}`"),
        };
        let help = match missing {
            Missing::Case(file) => vec![format!(
                "there is `{file}`: servers tell upper from lower case"
            )],
            Missing::Index { names } => vec![format!("put an {} there", names.join(" or "))],
            Missing::Extension(file) => vec![
                format!("there is `{file}`: add the extension to the link"),
                "set clean_urls = true if your server answers without it".to_owned(),
            ],
            Missing::Nothing { nearest } => nearest
                .iter()
                .map(|file| format!("did you mean `{file}`?"))
                .collect(),
        };
        self.add(code, message, reference, help);
    }

    pub(crate) fn missing_anchor(
        &mut self,
        reference: &Reference,
        file: &str,
        fragment: &str,
        ids: &BTreeSet<String>,
    ) {
        // The same menu on every page is one problem.
        let page = match reference.file == file {
            true => "the page",
            false => &format!("`{file}`"),
        };
        let message = format!("broken anchor: {page} has no element with the id `{fragment}`");
        let nearest = ids
            .iter()
            .map(|id| (strsim::normalized_damerau_levenshtein(id, fragment), id))
            .filter(|(similarity, _)| *similarity >= 0.6)
            .max_by(|left, right| left.0.total_cmp(&right.0));
        let meant = nearest.map(|(_, id)| format!("did you mean `#{id}`?"));
        let by_script = format!(
            "if a script or a style sheet acts on it, add \"{}\" to ignore_links",
            reference.text
        );
        let help = meant.into_iter().chain([by_script]);
        self.add("static.anchor.missing", message, reference, help);
    }

    pub(crate) fn bare_import(&mut self, reference: &Reference) {
        let name = &reference.text;
        let message = format!("broken import: no browser knows where the module `{name}` is");
        let help = format!(
            "give it a place with <script type=\"importmap\">, write a path (`./{name}.js`), or \
             bundle it with a build_command"
        );
        self.add("static.import.bare", message, reference, [help]);
    }

    pub(crate) fn malformed(&mut self, reference: &Reference, reason: &str) {
        let message = format!("`{}` is no address: {reason}", reference.text);
        self.add("static.link.malformed", message, reference, []);
    }

    pub(crate) fn own_machine(&mut self, reference: &Reference) {
        let message = format!("`{}` is a file of your machine alone", reference.text);
        let help = "put the file into the site and link to it there".to_owned();
        self.add("static.link.own_machine", message, reference, [help]);
    }

    pub(crate) fn beside_base(&mut self, reference: &Reference, base: &str) {
        let text = &reference.text;
        let message = format!("broken reference: `{text}` is not below `{base}`");
        let below = text.trim_start_matches('/');
        let help = format!("the site is served under `{base}`: write `{base}{below}`");
        self.add("static.link.beside_base", message, reference, [help]);
    }

    /// Compares a file with the digests that a page says it has (W3C Subresource Integrity,
    /// section 3.3.4): one of the strongest kind must be right.
    pub(crate) fn check_integrity(&mut self, pinned: &Pinned, bytes: &[u8]) {
        let digests = [
            ("sha512-", STANDARD.encode(Sha512::digest(bytes))),
            ("sha384-", STANDARD.encode(Sha384::digest(bytes))),
            ("sha256-", STANDARD.encode(Sha256::digest(bytes))),
        ];
        let said = |kind: &str| -> Vec<String> {
            let all = pinned.integrity.split_ascii_whitespace();
            let of_kind = all.filter_map(|one| one.strip_prefix(kind));
            of_kind
                .map(|one| one.split('?').next().unwrap_or(one).to_owned())
                .collect()
        };
        let strongest = digests
            .iter()
            .map(|(kind, digest)| (kind, digest, said(kind)))
            .find(|(.., said)| !said.is_empty());
        let Some((kind, digest, said)) = strongest else {
            return;
        };
        if !said.contains(digest) {
            let text = &pinned.reference.text;
            let message = format!("no browser takes `{text}`: its integrity attribute is wrong");
            let help = format!("write integrity=\"{kind}{digest}\"");
            self.add("static.integrity.wrong", message, &pinned.reference, [help]);
        }
    }

    /// Everything found, in the order of files and lines. Places beyond the shown ones go to the
    /// log.
    pub(crate) fn diagnostics(
        self,
        tree: &Tree,
        context: &dyn RunContext,
    ) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        let severity = match self.parameters.mode {
            CheckMode::Internal => Severity::Error,
            CheckMode::Warn => Severity::Warning,
        };
        let mut ordered = Vec::new();
        for ((code, message), mut problem) in self.problems {
            problem
                .places
                .sort_by(|left, right| place_key(left).cmp(&place_key(right)));
            problem.places.dedup();
            if let Some(first) = problem.places.first() {
                ordered.push((
                    first.file.clone(),
                    first.range.start,
                    code,
                    message,
                    problem,
                ));
            }
        }
        ordered.sort_by(|left, right| (&left.0, left.1).cmp(&(&right.0, right.1)));
        let mut diagnostics = Vec::new();
        for (_, _, code, message, problem) in ordered {
            let mut diagnostic = Diagnostic::error(code, message);
            diagnostic.severity = severity;
            diagnostics.push(self::place(
                diagnostic,
                &problem,
                self.parameters,
                tree,
                context,
            )?);
        }
        Ok(diagnostics)
    }
}

fn place_key(reference: &Reference) -> (&str, usize) {
    (&reference.file, reference.range.start)
}

/// Puts a diagnostic at the first place of its problem, the others beside it.
fn place(
    mut diagnostic: Diagnostic,
    problem: &Problem,
    parameters: &Parameters,
    tree: &Tree,
    context: &dyn RunContext,
) -> Result<Diagnostic, Vec<Diagnostic>> {
    diagnostic.help.extend(problem.help.iter().cloned());
    let mut others = Vec::new();
    for (index, reference) in problem.places.iter().enumerate() {
        let bytes = tree.bytes(&reference.file)?;
        let text = String::from_utf8_lossy(&bytes);
        let shown = shown_path(&parameters.origins, &reference.file);
        let line = text::line(&text, reference.range.start);
        context.log(&format!("{shown}:{line}: {}", diagnostic.message));
        if index == 0 {
            diagnostic = text::mark(diagnostic, &shown, &text, &reference.range);
        } else {
            others.push(format!("{shown}:{line}"));
        }
    }
    if !others.is_empty() {
        let more = others.len().saturating_sub(PLACES_SHOWN);
        others.truncate(PLACES_SHOWN);
        let mut help = format!("the same is at {}", others.join(", "));
        if more > 0 {
            help.push_str(&format!(" and {more} more places, all in the log"));
        }
        diagnostic = diagnostic.help(help);
    }
    Ok(diagnostic)
}
