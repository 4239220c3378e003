//! `Cargo.lock`: where the packages that a build needs come from.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use synth_core::Diagnostic;
use toml::{Table, Value};
use url::Url;

use crate::document::Document;

/// The address of crates.io's index in lock files.
const CRATES_IO: [&str; 2] = [
    "registry+https://github.com/rust-lang/crates.io-index",
    "sparse+https://index.crates.io/",
];

/// Where packages come from, if not from a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// crates.io.
    CratesIo,
    /// Another registry.
    Registry {
        /// Its index, as Cargo's configuration says it.
        index: String,
    },
    /// A repository.
    Git {
        /// Its address.
        repository: String,
        /// `branch`, `tag` or `rev` with its value; the default branch without.
        reference: Option<(String, String)>,
    },
}

/// The sources of a lock file, each once.
///
/// # Errors
/// When the file is of no shape that Cargo writes.
pub(crate) fn sources(lock: &Document) -> Result<BTreeSet<Source>, Diagnostic> {
    let packages = lock.get(&["package"]).and_then(Value::as_array);
    let texts = packages
        .into_iter()
        .flatten()
        .filter_map(|package| package.get("source")?.as_str());
    texts
        .map(|text| {
            source(text).ok_or_else(|| {
                let message = format!("`{}` names an unknown source: `{text}`", lock.path);
                Diagnostic::error("cargo.lock.source", message)
                    .in_file(lock.path.to_string())
                    .help("write it anew with `cargo generate-lockfile`")
            })
        })
        .collect()
}

/// The names of all packages of a lock file.
pub(crate) fn packages(lock: &Document) -> BTreeSet<&str> {
    let packages = lock.get(&["package"]).and_then(Value::as_array);
    packages
        .into_iter()
        .flatten()
        .filter_map(|package| package.get("name")?.as_str())
        .collect()
}

fn source(text: &str) -> Option<Source> {
    if CRATES_IO.contains(&text) {
        return Some(Source::CratesIo);
    }
    if let Some(index) = text.strip_prefix("registry+") {
        return Some(Source::Registry {
            index: index.to_owned(),
        });
    }
    if text.starts_with("sparse+") {
        return Some(Source::Registry {
            index: text.to_owned(),
        });
    }
    let mut address = Url::parse(text.strip_prefix("git+")?).ok()?;
    let reference = address
        .query_pairs()
        .find(|(key, _)| matches!(&**key, "branch" | "tag" | "rev"))
        .map(|(key, value)| (key.into_owned(), value.into_owned()));
    address.set_query(None);
    address.set_fragment(None);
    Some(Source::Git {
        repository: address.into(),
        reference,
    })
}

/// Cargo's configuration that has packages of these sources taken from a directory instead.
pub(crate) fn vendored<'a>(
    sources: impl IntoIterator<Item = &'a Source>,
    directory: &str,
) -> String {
    /// The name of the directory's source.
    const VENDORED: &str = "synth-vendored";
    let text = |text: &str| Value::String(text.to_owned());
    let mut tables = Table::new();
    for source in sources {
        let mut table = Table::new();
        let name = match source {
            Source::CratesIo => "crates-io".to_owned(),
            Source::Registry { index } => {
                table.insert("registry".into(), text(index));
                index.clone()
            }
            Source::Git {
                repository,
                reference,
            } => {
                table.insert("git".into(), text(repository));
                let mut name = format!("git+{repository}");
                if let Some((key, value)) = reference {
                    table.insert(key.clone(), text(value));
                    name = format!("{name}?{key}={value}");
                }
                name
            }
        };
        table.insert("replace-with".into(), text(VENDORED));
        tables.insert(name, Value::Table(table));
    }
    let directory = Table::from_iter([("directory".to_owned(), text(directory))]);
    tables.insert(VENDORED.into(), Value::Table(directory));
    Table::from_iter([("source".to_owned(), Value::Table(tables))]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_every_kind_are_replaced() {
        let sources = [
            "registry+https://github.com/rust-lang/crates.io-index",
            "registry+https://example.org/index",
            "sparse+https://example.org/crates/",
            "git+https://example.org/a.git#0123",
            "git+https://example.org/b?branch=main#0123",
            "git+ssh://git@example.org/c?tag=v1%2B2#0123",
            "git+https://example.org/d?rev=4567#4567",
        ]
        .map(|text| source(text).unwrap());
        insta::assert_snapshot!(vendored(&sources, "/a b/vendor"), @r#"
        [source.crates-io]
        replace-with = "synth-vendored"

        [source."https://example.org/index"]
        registry = "https://example.org/index"
        replace-with = "synth-vendored"

        [source."sparse+https://example.org/crates/"]
        registry = "sparse+https://example.org/crates/"
        replace-with = "synth-vendored"

        [source."git+https://example.org/a.git"]
        git = "https://example.org/a.git"
        replace-with = "synth-vendored"

        [source."git+https://example.org/b?branch=main"]
        git = "https://example.org/b"
        branch = "main"
        replace-with = "synth-vendored"

        [source."git+ssh://git@example.org/c?tag=v1+2"]
        git = "ssh://git@example.org/c"
        tag = "v1+2"
        replace-with = "synth-vendored"

        [source."git+https://example.org/d?rev=4567"]
        git = "https://example.org/d"
        rev = "4567"
        replace-with = "synth-vendored"

        [source.synth-vendored]
        directory = "/a b/vendor"
        "#);
        assert_eq!(source("ftp://example.org"), None);
    }
}
