//! Where a reference leads: to another host, or to a file of the site, as a server would find
//! it.

use std::collections::BTreeMap;

use globset::GlobSet;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use synth_core::Diagnostic;
use url::Url;

use super::Parameters;
use super::reference::Reference;
use crate::tree::{self, Tree};

/// What is written with `%` in the path of an address (WHATWG URL, path percent-encode set), and
/// the sign itself.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// Where a reference leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To another host, or to no document: `mailto:`, `data:`.
    Elsewhere,
    /// Nowhere: it is no address.
    Malformed(String),
    /// To a file of the machine it is read on.
    OwnMachine,
    /// To the site's host, but not below its base path. The path is from the host's root.
    BesideBase { path: String },
    /// To a path of the site.
    Inside {
        path: String,
        fragment: Option<String>,
    },
}

/// Why there is no file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There is one whose name differs in case.
    Case(String),
    /// The directory is there, what a server answers with is not.
    Index { names: Vec<String> },
    /// There is a page when `.html` is added.
    Extension(String),
    /// Nothing; perhaps this was meant.
    Nothing { nearest: Option<String> },
}

/// A site as its server answers.
pub(crate) struct Site<'a> {
    tree: &'a Tree,
    parameters: &'a Parameters,
    ignore: GlobSet,
    /// Paths by their lower-case form.
    by_lower_case: BTreeMap<String, &'a str>,
}

impl<'a> Site<'a> {
    pub(crate) fn new(tree: &'a Tree, parameters: &'a Parameters) -> Result<Self, Vec<Diagnostic>> {
        Ok(Self {
            tree,
            parameters,
            ignore: tree::patterns(&parameters.ignore)?,
            by_lower_case: tree
                .files()
                .map(|file| (file.to_lowercase(), file))
                .collect(),
        })
    }

    /// The address of a file.
    pub(crate) fn url_of(&self, file: &str) -> Url {
        let mut url = self.parameters.address.root.clone();
        let path = utf8_percent_encode(file, PATH);
        url.set_path(&format!("{}{path}", self.parameters.address.root.path()));
        url
    }

    pub(crate) fn base_path(&self) -> String {
        self.parameters.address.root.path().to_owned()
    }

    pub(crate) fn is_ignored(&self, text: &str) -> bool {
        self.ignore.is_match(text)
    }

    pub(crate) fn resolve(&self, reference: &Reference) -> Target {
        let text = reference.text.trim();
        let url = match reference.base.join(text) {
            Ok(url) => url,
            Err(error) => return Target::Malformed(error.to_string()),
        };
        let root = &self.parameters.address.root;
        match url.scheme() {
            "http" | "https" => {}
            "file" => return Target::OwnMachine,
            _ => return Target::Elsewhere,
        }
        if url.host_str() != root.host_str() || url.port() != root.port() {
            return Target::Elsewhere;
        }
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let path = decode(url.path());
        let base = decode(root.path());
        let fragment = url.fragment().map(str::to_owned);
        if let Some(path) = path.strip_prefix(&base) {
            let path = path.to_owned();
            Target::Inside { path, fragment }
        } else if format!("{path}/") == base {
            let path = String::new();
            Target::Inside { path, fragment }
        } else {
            let path = path.trim_start_matches('/').to_owned();
            Target::BesideBase { path }
        }
    }

    /// The file that a reference leads to, when it does.
    pub(crate) fn file(&self, reference: &Reference) -> Option<String> {
        match self.resolve(reference) {
            Target::Inside { path, .. } => self.find(&path).ok(),
            _ => None,
        }
    }

    /// The file that a server answers a path with.
    pub(crate) fn find(&self, path: &str) -> Result<String, Missing> {
        let clean = path.trim_end_matches('/');
        let is_directory = path.is_empty() || path.ends_with('/');
        if !is_directory && self.tree.has(path) {
            return Ok(path.to_owned());
        }
        if clean.is_empty() || self.tree.has_directory(clean) {
            let indexes = self.parameters.index_files.iter();
            let mut candidates = indexes.map(|name| below(clean, name));
            return candidates
                .find(|index| self.tree.has(index))
                .map_or_else(|| self.no_index(clean), Ok);
        }
        let with_extension = format!("{clean}.html");
        if self.tree.has(&with_extension) {
            return if self.parameters.clean_urls {
                Ok(with_extension)
            } else {
                Err(Missing::Extension(with_extension))
            };
        }
        Err(self.nearest(clean))
    }

    /// What answers for a directory without an index: `/about` may be a page beside it.
    fn no_index(&self, directory: &str) -> Result<String, Missing> {
        let page = format!("{directory}.html");
        let is_page = !directory.is_empty() && self.tree.has(&page);
        match is_page {
            true if self.parameters.clean_urls => Ok(page),
            true => Err(Missing::Extension(page)),
            false => Err(Missing::Index {
                names: self.parameters.index_files.clone(),
            }),
        }
    }

    fn nearest(&self, path: &str) -> Missing {
        // A file whose name is followed by `/`.
        if self.tree.has(path) {
            return Missing::Nothing {
                nearest: Some(path.to_owned()),
            };
        }
        let lower = path.to_lowercase();
        if let Some(file) = self.by_lower_case.get(&lower) {
            return Missing::Case((*file).to_owned());
        }
        let below = format!("{lower}/");
        if let Some((_, file)) = self.by_lower_case.range(below.clone()..).next()
            && let Some(directory) = file.get(..path.len())
            && directory.to_lowercase() == lower
        {
            return Missing::Case(format!("{directory}/"));
        }
        let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_lowercase();
        let wanted = name(path);
        let same_name = self.tree.files().find(|file| name(file) == wanted);
        // Without extensions, which make any two pages look alike.
        let similarity =
            |file: &str| strsim::normalized_damerau_levenshtein(stem(file), stem(path));
        let similar = self
            .tree
            .files()
            .map(|file| (similarity(file), file))
            .filter(|(similarity, _)| *similarity >= 0.7)
            .max_by(|left, right| left.0.total_cmp(&right.0))
            .map(|(_, file)| file);
        Missing::Nothing {
            nearest: same_name.or(similar).map(str::to_owned),
        }
    }
}

fn below(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

fn stem(path: &str) -> &str {
    path.rsplit_once('.')
        .map_or(path, |(stem, extension)| match extension.contains('/') {
            true => path,
            false => stem,
        })
}
