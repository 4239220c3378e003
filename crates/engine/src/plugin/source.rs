//! Where a plugin is installed from, as synth.toml, synth.lock and a library's record write it.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a plugin is installed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The registry that cargo takes crates from.
    Registry,
    /// The directory of a crate.
    Path(PathBuf),
    /// A repository.
    Git {
        /// As git understands it.
        url: String,
        /// What is taken from it; none for what it shows first.
        reference: Option<GitReference>,
        /// The commit that was taken, when it is known.
        commit: Option<String>,
    },
    /// A library that somebody has built.
    File(PathBuf),
    /// A library that somebody has built, at an address.
    Url {
        /// The address, without a fragment.
        url: String,
        /// The SHA-256 of the library, in lower-case hexadecimal.
        sha256: String,
    },
}

/// What is taken from a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitReference {
    /// A branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// A commit.
    Revision(String),
}

const REGISTRY: &str = "crates.io";
const PATH: &str = "path+";
const GIT: &str = "git+";
const FILE: &str = "file+";
const DIGEST: &str = "#sha256=";

impl Source {
    /// The forms that can be written, for help.
    pub const FORMS: &str = "write `crates.io`, `path+DIR`, `file+LIBRARY`, `git+URL`, \
                             `git+URL?tag=NAME` or `https://..#sha256=DIGEST`";

    /// Reads one of [`Source::FORMS`].
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == REGISTRY {
            return Ok(Self::Registry);
        }
        if let Some(path) = text.strip_prefix(PATH).filter(|path| !path.is_empty()) {
            return Ok(Self::Path(path.into()));
        }
        if let Some(path) = text.strip_prefix(FILE).filter(|path| !path.is_empty()) {
            return Ok(Self::File(path.into()));
        }
        if let Some(rest) = text.strip_prefix(GIT).filter(|rest| !rest.is_empty()) {
            return parse_git(rest);
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            let (url, sha256) = text
                .split_once(DIGEST)
                .ok_or("the address of a library goes with its SHA-256")?;
            if !is_sha256(sha256) {
                return Err(format!("`{sha256}` is no SHA-256 (64 hexadecimal digits)"));
            }
            return Ok(Self::Url {
                url: url.to_owned(),
                sha256: sha256.to_ascii_lowercase(),
            });
        }
        Err(format!("`{text}` is no source of a plugin"))
    }

    /// The same source with its path made absolute.
    #[must_use]
    pub fn from_directory(self, directory: &Path) -> Self {
        match self {
            Self::Path(path) => Self::Path(directory.join(path)),
            Self::File(path) => Self::File(directory.join(path)),
            other => other,
        }
    }

    /// The same source with a path below `directory` made relative to it, so that a file that is
    /// checked in names no directory of one machine.
    #[must_use]
    pub fn relative_to(self, directory: &Path) -> Self {
        let relative = |path: PathBuf| match path.strip_prefix(directory) {
            Ok(inside) if inside.as_os_str().is_empty() => PathBuf::from("."),
            Ok(inside) => inside.to_owned(),
            Err(_) => path,
        };
        match self {
            Self::Path(path) => Self::Path(relative(path)),
            Self::File(path) => Self::File(relative(path)),
            other => other,
        }
    }
}

fn parse_git(text: &str) -> Result<Source, String> {
    let (text, commit) = match text.split_once('#') {
        Some((text, commit)) => (text, Some(commit.to_owned())),
        None => (text, None),
    };
    let (url, reference) = match text.rsplit_once('?') {
        None => (text, None),
        Some((url, query)) => {
            let reference = match query.split_once('=') {
                Some(("branch", name)) => GitReference::Branch(name.to_owned()),
                Some(("tag", name)) => GitReference::Tag(name.to_owned()),
                Some(("rev", name)) => GitReference::Revision(name.to_owned()),
                _ => {
                    return Err(format!(
                        "`?{query}` is none of `?branch=`, `?tag=` and `?rev=`"
                    ));
                }
            };
            (url, Some(reference))
        }
    };
    Ok(Source::Git {
        url: url.to_owned(),
        reference,
        commit,
    })
}

/// Whether a text is a SHA-256 in hexadecimal.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An address as it is written down: what is committed and shown holds no password.
fn without_password(address: &str) -> String {
    match url::Url::parse(address) {
        Ok(mut url) if url.password().is_some() => {
            // Only addresses that can't have any refuse to lose them.
            let _ = url.set_password(None);
            let _ = url.set_username("");
            url.into()
        }
        _ => address.to_owned(),
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry => formatter.write_str(REGISTRY),
            Self::Path(path) => write!(formatter, "{PATH}{}", path.display()),
            Self::File(path) => write!(formatter, "{FILE}{}", path.display()),
            Self::Url { url, sha256 } => {
                write!(formatter, "{}{DIGEST}{sha256}", without_password(url))
            }
            Self::Git {
                url,
                reference,
                commit,
            } => {
                write!(formatter, "{GIT}{}", without_password(url))?;
                match reference {
                    Some(GitReference::Branch(name)) => write!(formatter, "?branch={name}")?,
                    Some(GitReference::Tag(name)) => write!(formatter, "?tag={name}")?,
                    Some(GitReference::Revision(name)) => write!(formatter, "?rev={name}")?,
                    None => {}
                }
                match commit {
                    Some(commit) => write!(formatter, "#{commit}"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_written_as_they_are_read() {
        let digest = "0".repeat(64);
        for text in [
            "crates.io",
            "path+plugins/greet",
            "file+lib/libsynth_target_greet.so",
            "git+https://example.com/greet?branch=main#0123abc",
            "git+https://example.com/greet?tag=v1.0",
            "git+ssh://git@example.com/greet",
            &format!("https://example.com/libgreet.so#sha256={digest}"),
        ] {
            let source = Source::parse(text).unwrap();
            assert_eq!(source.to_string(), text);
        }
    }

    #[test]
    fn passwords_are_not_written_down() {
        let source = Source::parse("git+https://me:secret@example.com/greet?tag=v1").unwrap();
        assert_eq!(source.to_string(), "git+https://example.com/greet?tag=v1");
    }

    #[test]
    fn what_is_no_source_is_told() {
        for (text, reason) in [
            ("greet", "`greet` is no source of a plugin"),
            ("path+", "`path+` is no source of a plugin"),
            (
                "https://a.b/c.so",
                "the address of a library goes with its SHA-256",
            ),
            (
                "https://a.b/c.so#sha256=1",
                "`1` is no SHA-256 (64 hexadecimal digits)",
            ),
            (
                "git+https://a.b/c?ref=1",
                "`?ref=1` is none of `?branch=`, `?tag=` and `?rev=`",
            ),
        ] {
            assert_eq!(Source::parse(text).unwrap_err(), reason);
        }
    }
}
