//! Checks what a site refers to inside itself: links, anchors, images, style sheets, scripts and
//! their imports. Other hosts are never asked.

mod data;
mod page;
mod reference;
mod report;
mod resolve;
mod script;
mod style;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, NativeOutcome, RunContext};
use url::Url;

use crate::plan::{SITE, TREE};
use crate::project::{Address, Origin};
use crate::settings::CheckMode;
use crate::stack;
use crate::tree::{self, FileType, Tree};
use reference::{Facts, ImportMap, Reference, Role};
use report::Report;
use resolve::{Site, Target};

/// The name of the native function.
pub(crate) const FUNCTION: &str = "validate";

/// What it is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Parameters {
    pub(crate) mode: CheckMode,
    pub(crate) ignore: Vec<String>,
    pub(crate) address: Address,
    pub(crate) index_files: Vec<String>,
    pub(crate) clean_urls: bool,
    pub(crate) origins: Vec<Origin>,
}

/// Checks a tree.
///
/// # Errors
/// Every broken reference, unless they are to be warnings.
pub(crate) fn run(
    parameters: &Parameters,
    context: &dyn RunContext,
) -> Result<NativeOutcome, Vec<Diagnostic>> {
    let tree = Tree::read(context.inputs().join(TREE))?;
    let site = Site::new(&tree, parameters)?;
    let facts = collect(&tree, &site, context)?;
    let mut report = Report::new(parameters);
    for reference in &facts.references {
        if context.is_cancelled() {
            break;
        }
        check(reference, &facts, &site, &mut report);
    }
    for pinned in &facts.pinned {
        if let Target::Inside { path, .. } = site.resolve(&pinned.reference)
            && let Ok(file) = site.find(&path)
        {
            report.check_integrity(pinned, &tree.bytes(&file)?);
        }
    }
    let diagnostics = report.diagnostics(&tree, context)?;
    context.log(&format!("{} references checked", facts.references.len()));
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(diagnostics);
    }
    let checked = facts.references.len().to_string();
    let mut outcome = NativeOutcome::quiet().attribute(SITE, "references_checked", checked);
    outcome.diagnostics = diagnostics;
    Ok(outcome)
}

/// Everything that the files of a site refer to.
fn collect(
    tree: &Tree,
    site: &Site<'_>,
    context: &dyn RunContext,
) -> Result<Facts, Vec<Diagnostic>> {
    let mut facts = Facts::default();
    for file in tree.files() {
        let kind = tree::file_type(file);
        let is_sitemap = file == "sitemap.xml";
        if matches!(kind, FileType::Script | FileType::Other) && !is_sitemap {
            continue;
        }
        context.progress(file);
        let bytes = tree.bytes(file)?;
        let text = String::from_utf8_lossy(&bytes);
        let base = site.url_of(file);
        stack::roomy(|| match kind {
            FileType::Html | FileType::Xhtml => page::collect(file, &text, &base, &mut facts),
            FileType::Css => style::collect(file, &text, 0, &base, &mut facts),
            FileType::Svg => page::collect_svg(file, &text, &base, &mut facts),
            FileType::WebManifest => data::collect_manifest(file, &text, &base, &mut facts),
            FileType::Script | FileType::Other => {
                data::collect_sitemap(file, &text, &base, &mut facts);
            }
        });
    }
    linked_manifests(tree, site, &mut facts)?;
    follow_scripts(tree, site, &mut facts)?;
    Ok(facts)
}

/// Web application manifests are often called manifest.json: their link tells what they are.
fn linked_manifests(
    tree: &Tree,
    site: &Site<'_>,
    facts: &mut Facts,
) -> Result<(), Vec<Diagnostic>> {
    let linked: BTreeSet<String> = facts
        .references
        .iter()
        .filter(|reference| reference.role == Role::Manifest)
        .filter_map(|reference| site.file(reference))
        .filter(|file| tree::file_type(file) != FileType::WebManifest)
        .collect();
    for file in linked {
        let bytes = tree.bytes(&file)?;
        let text = String::from_utf8_lossy(&bytes);
        data::collect_manifest(&file, &text, &site.url_of(&file), facts);
    }
    Ok(())
}

/// Reads the scripts that pages load, and those that these load.
fn follow_scripts(tree: &Tree, site: &Site<'_>, facts: &mut Facts) -> Result<(), Vec<Diagnostic>> {
    let mut seen = BTreeSet::new();
    let mut queue: VecDeque<String> = VecDeque::new();
    let mut read = 0;
    loop {
        while let Some(reference) = facts.references.get(read) {
            read += 1;
            let is_script = matches!(reference.role, Role::Script | Role::Import);
            let reference = match reference.role {
                Role::Import => facts.import_map.apply(reference),
                _ => Some(reference.clone()),
            };
            if let Some(file) = reference.filter(|_| is_script).and_then(|r| site.file(&r))
                && tree::file_type(&file) == FileType::Script
                && seen.insert(file.clone())
            {
                queue.push_back(file);
            }
        }
        let Some(file) = queue.pop_front() else {
            return Ok(());
        };
        let bytes = tree.bytes(&file)?;
        let text = String::from_utf8_lossy(&bytes);
        let place = script::Place {
            file: &file,
            offset: 0,
            base: &site.url_of(&file),
            page: None,
        };
        stack::roomy(|| script::collect(&text, &place, facts));
    }
}

fn check(reference: &Reference, facts: &Facts, site: &Site<'_>, report: &mut Report<'_>) {
    if site.is_ignored(&reference.text) {
        return;
    }
    let mapped = match reference.role {
        Role::Import => facts.import_map.apply(reference),
        _ => Some(reference.clone()),
    };
    let Some(mapped) = mapped else {
        report.bare_import(reference);
        return;
    };
    match site.resolve(&mapped) {
        Target::Elsewhere => {}
        Target::Malformed(reason) => report.malformed(reference, &reason),
        Target::OwnMachine => report.own_machine(reference),
        Target::BesideBase { path } => {
            if site.find(&path).is_ok() && !site.is_ignored(&format!("/{path}")) {
                report.beside_base(reference, &site.base_path());
            }
        }
        Target::Inside { path, fragment } => {
            if site.is_ignored(&format!("/{path}")) {
                return;
            }
            match site.find(&path) {
                Err(missing) => report.missing(reference, &path, &missing),
                Ok(file) => {
                    if let Some(fragment) = fragment {
                        check_anchor(reference, &file, &fragment, facts, report);
                    }
                }
            }
        }
    }
}

/// A fragment names an element of a page or an image. Others, such as `#page=2` of a PDF, mean
/// something to who shows the file.
fn check_anchor(
    reference: &Reference,
    file: &str,
    fragment: &str,
    facts: &Facts,
    report: &mut Report<'_>,
) {
    let Some(ids) = facts.ids.get(file) else {
        return;
    };
    let decoded = percent_encoding::percent_decode_str(fragment).decode_utf8_lossy();
    // HTML, section 7.4.6.4; text fragments and what scripts read (`#/route`, `#!route`).
    let means_something_else = fragment.is_empty()
        || fragment.eq_ignore_ascii_case("top")
        || fragment.contains(":~:")
        || fragment.starts_with(['/', '!'])
        || (tree::file_type(file) == FileType::Svg && fragment.contains(['=', '(']));
    let is_same_page = reference.file == file;
    if reference.is_control && is_same_page {
        return;
    }
    if !means_something_else && !ids.contains(fragment) && !ids.contains(decoded.as_ref()) {
        report.missing_anchor(reference, file, &decoded, ids);
    }
}

impl ImportMap {
    /// The reference that an import stands for; none for a bare name that no map has.
    fn apply(&self, reference: &Reference) -> Option<Reference> {
        let text = &reference.text;
        let is_path = ["/", "./", "../"]
            .iter()
            .any(|start| text.starts_with(start));
        let entry = self.find(text);
        if let Some((address, base)) = entry {
            return Some(Reference {
                text: address,
                base,
                ..reference.clone()
            });
        }
        (is_path || Url::parse(text).is_ok()).then(|| reference.clone())
    }

    /// The longest entry for a name: itself, or one that ends in `/` before it.
    fn find(&self, name: &str) -> Option<(String, Url)> {
        let entries: &BTreeMap<String, (String, Url)> = &self.entries;
        if let Some(found) = entries.get(name) {
            return Some(found.clone());
        }
        let prefixes = entries
            .iter()
            .filter(|(key, _)| key.ends_with('/') && name.starts_with(key.as_str()));
        let (key, (address, base)) = prefixes.max_by_key(|(key, _)| key.len())?;
        let rest = name.strip_prefix(key.as_str())?;
        Some((format!("{address}{rest}"), base.clone()))
    }
}
