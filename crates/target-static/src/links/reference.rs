//! What a site's files say about other files, before it is known whether that is true.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use url::Url;

/// What a reference is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Somewhere to go: `<a href>`.
    Link,
    /// Something to show: an image, a font, a style sheet.
    Asset,
    /// A web application's manifest.
    Manifest,
    /// A script that a page loads.
    Script,
    /// A module that a module imports.
    Import,
}

/// A reference to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The file it is in.
    pub(crate) file: String,
    /// Its place in the file, in bytes.
    pub(crate) range: Range<usize>,
    /// As it is written, character references and escapes replaced.
    pub(crate) text: String,
    /// What it is relative to.
    pub(crate) base: Url,
    pub(crate) role: Role,
    /// A script acts when it is followed: its fragment may name nothing.
    pub(crate) is_control: bool,
}

/// A reference with the digests that the file's bytes must have one of.
#[derive(Clone, Debug)]
pub(crate) struct Pinned {
    pub(crate) reference: Reference,
    pub(crate) integrity: String,
}

/// The import maps of all pages, as one (HTML, section 8.1.6.2).
#[derive(Debug, Default)]
pub(crate) struct ImportMap {
    /// Name, or beginning of names when it ends in `/`, to address and what that is relative to.
    pub(crate) entries: BTreeMap<String, (String, Url)>,
}

/// Everything found in a site.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) references: Vec<Reference>,
    pub(crate) pinned: Vec<Pinned>,
    /// What a fragment can name, by file.
    pub(crate) ids: BTreeMap<String, BTreeSet<String>>,
    pub(crate) import_map: ImportMap,
}

impl Facts {
    /// Notes a reference, unless it is empty or a template's placeholder that a script or a
    /// server fills in.
    pub(crate) fn refer(&mut self, reference: Reference) {
        let text = reference.text.trim();
        let is_placeholder = ["{{", "${", "<%", "[["]
            .iter()
            .any(|mark| text.contains(mark));
        if !text.is_empty() && !is_placeholder {
            self.references.push(reference);
        }
    }
}
