//! `synth.lock`, beside synth.toml: which library each plugin kind was built with, by version and
//! digest. Checked in by users; a library that differs is not opened.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use semver::Version;
use serde::{Deserialize, Serialize};
use synth_core::{Concern, Diagnostic};

use super::PluginFile;
use super::source::is_sha256;

/// The file's name.
pub const LOCK_FILE_NAME: &str = "synth.lock";

/// The form of the file. A newer one is refused.
const LOCK_VERSION: u32 = 1;

const HEADER: &str = "\
# Which plugin libraries this project is built with. Written by `synth plugin` and `synth build`;
# commit it with synth.toml. A library that differs from its entry here is not opened.
";

/// The pins of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    pins: BTreeMap<String, Pin>,
}

/// Which library brings a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The crate.
    #[serde(rename = "crate")]
    pub crate_name: String,
    /// Its version.
    pub version: Version,
    /// Where it was installed from; none when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The library's SHA-256 in lower-case hexadecimal, by target triple.
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
}

/// The file's own shape.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    #[serde(default)]
    plugins: BTreeMap<String, Pin>,
}

impl Pin {
    /// The pin of a library.
    #[must_use]
    pub fn of(file: &PluginFile, source: Option<String>) -> Self {
        Self {
            crate_name: file.manifest.crate_name.clone(),
            version: file.manifest.version.clone(),
            source,
            sha256: BTreeMap::from([(file.manifest.triple.clone(), file.sha256.clone())]),
        }
    }

    /// Whether it is for this crate and version, on whatever machine.
    fn is_of(&self, file: &PluginFile) -> bool {
        self.crate_name == file.manifest.crate_name && self.version == file.manifest.version
    }

    /// How a library compares with it.
    #[must_use]
    pub fn compare(&self, file: &PluginFile) -> PinState {
        match self.sha256.get(&file.manifest.triple) {
            Some(expected) if *expected == file.sha256 => PinState::Same,
            Some(_) => PinState::Differs,
            None if self.is_of(file) => PinState::Missing,
            None => PinState::Differs,
        }
    }

    /// Why a library that differs is not opened.
    pub(crate) fn mismatch(&self, kind: &str, file: &PluginFile) -> Diagnostic {
        let message = format!(
            "`{}` is not the plugin for `{kind}` that {LOCK_FILE_NAME} has, and is not opened",
            file.path.display()
        );
        let expected = self.sha256.get(&file.manifest.triple).map_or_else(
            || "another version".to_owned(),
            |sha256| format!("SHA-256 {sha256}"),
        );
        Diagnostic::error("plugin.pin", message)
            .concerning(Concern::Environment)
            .cause(format!(
                "expected: {} {}, {expected}",
                self.crate_name, self.version
            ))
            .cause(format!("found: {}, SHA-256 {}", file.name(), file.sha256))
            .help(format!(
                "if it was replaced on purpose: `synth plugin update {kind}`"
            ))
            .help(match self.source {
                Some(_) => "if not: `synth plugin install` puts the one of synth.lock back",
                None => "if not: put the one of synth.lock back",
            })
    }
}

/// How a library compares with a [`Pin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinState {
    /// It is the library.
    Same,
    /// It is of the same version, and there is no digest yet for this kind of machine.
    Missing,
    /// It is another one.
    Differs,
}

impl Lock {
    /// The pins beside the synth.toml of `root`; none where there is no file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(root: &Path) -> Result<Self, Diagnostic> {
        let text = match fs::read_to_string(root.join(LOCK_FILE_NAME)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(Diagnostic::error(
                    "lock.unreadable",
                    format!("`{LOCK_FILE_NAME}` can't be read"),
                )
                .caused_by(&error));
            }
        };
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, Diagnostic> {
        #[derive(Deserialize)]
        struct Form {
            version: u32,
        }
        let wrong = |error: &toml::de::Error| {
            let message = error.message().trim().replace('\n', ", ");
            Diagnostic::error(
                "lock.syntax",
                format!("`{LOCK_FILE_NAME}` can't be read: {message}"),
            )
            .at_span(LOCK_FILE_NAME, text, &error.span().unwrap_or_default())
            .help("restore it from version control, or remove it and run `synth plugin install`")
        };
        // Of a newer form nothing but its version is known.
        let form: Form = toml::from_str(text).map_err(|error| wrong(&error))?;
        if form.version != LOCK_VERSION {
            return Err(Diagnostic::error(
                "lock.version",
                format!(
                    "`{LOCK_FILE_NAME}` has version {}, and this synth knows version {LOCK_VERSION}",
                    form.version
                ),
            )
            .in_file(LOCK_FILE_NAME)
            .help("update synth"));
        }
        let mut contents: Contents = toml::from_str(text).map_err(|error| wrong(&error))?;
        for (kind, pin) in &contents.plugins {
            if let Some((triple, digest)) = pin.sha256.iter().find(|(_, d)| !is_sha256(d)) {
                return Err(Diagnostic::error(
                    "lock.digest",
                    format!("`{digest}` is no SHA-256: plugin `{kind}` for `{triple}`"),
                )
                .in_file(LOCK_FILE_NAME)
                .help("restore it from version control, or remove the line and run `synth plugin update`"));
            }
        }
        for digest in contents
            .plugins
            .values_mut()
            .flat_map(|pin| pin.sha256.values_mut())
        {
            digest.make_ascii_lowercase();
        }
        Ok(Self {
            pins: contents.plugins,
        })
    }

    /// A kind's pin.
    #[must_use]
    pub fn pin(&self, kind: &str) -> Option<&Pin> {
        self.pins.get(kind)
    }

    /// All pins, sorted by kind.
    pub fn pins(&self) -> impl Iterator<Item = (&str, &Pin)> {
        self.pins.iter().map(|(kind, pin)| (kind.as_str(), pin))
    }

    /// Pins a kind. Digests for other kinds of machines stay, unless the version is another one.
    pub fn set(&mut self, kind: &str, mut pin: Pin) {
        if let Some(old) = self.pins.remove(kind)
            && old.crate_name == pin.crate_name
            && old.version == pin.version
        {
            pin.source = pin.source.or(old.source);
            for (triple, digest) in old.sha256 {
                pin.sha256.entry(triple).or_insert(digest);
            }
        }
        self.pins.insert(kind.to_owned(), pin);
    }

    /// Takes a kind's pin out.
    pub fn remove(&mut self, kind: &str) -> bool {
        self.pins.remove(kind).is_some()
    }

    /// Changes the file beside the synth.toml of `root`, against other processes that change it at
    /// the same time; without pins there is none. Gives whether it is another one now.
    ///
    /// # Errors
    /// What is wrong with the file, or why it can't be written.
    pub fn update(root: &Path, change: impl FnOnce(&mut Self)) -> Result<bool, Diagnostic> {
        let unwritable = |error: io::Error| {
            Diagnostic::error(
                "lock.unwritable",
                format!("`{LOCK_FILE_NAME}` can't be written"),
            )
            .concerning(Concern::State)
            .caused_by(&error)
        };
        // The file itself is replaced, so its directory is what is held (flock(2)).
        let directory = File::open(root).map_err(unwritable)?;
        directory.lock().map_err(unwritable)?;
        let before = Self::read(root)?;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(false);
        }
        let path = root.join(LOCK_FILE_NAME);
        if after.pins.is_empty() {
            fs::remove_file(path).map_err(unwritable)?;
            return Ok(true);
        }
        let text = after.to_text().map_err(unwritable)?;
        write_atomically(&path, text.as_bytes()).map_err(unwritable)?;
        Ok(true)
    }

    fn to_text(&self) -> io::Result<String> {
        let contents = Contents {
            version: LOCK_VERSION,
            plugins: self.pins.clone(),
        };
        let body = toml::to_string(&contents).map_err(io::Error::other)?;
        Ok(format!("{HEADER}{body}"))
    }
}

/// Replaces a file by one with these bytes, readable by everybody.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let directory: PathBuf = path.parent().unwrap_or(Path::new(".")).to_owned();
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(version: &str, triple: &str, digit: &str) -> Pin {
        Pin {
            crate_name: "synth-target-greet".into(),
            version: version.parse().unwrap(),
            source: Some("crates.io".into()),
            sha256: BTreeMap::from([(triple.into(), digit.repeat(64))]),
        }
    }

    #[test]
    fn the_file_is_sorted_and_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let change = |lock: &mut Lock| {
            lock.set("greet", pin("1.0.0", "x86_64-unknown-linux-gnu", "1"));
            lock.set("greet", pin("1.0.0", "aarch64-apple-darwin", "2"));
            lock.set("archive", pin("0.1.0", "x86_64-unknown-linux-gnu", "3"));
        };
        assert!(Lock::update(root, change).unwrap());
        assert!(!Lock::update(root, change).unwrap());
        insta::assert_snapshot!(fs::read_to_string(root.join(LOCK_FILE_NAME)).unwrap(), @r#"
        # Which plugin libraries this project is built with. Written by `synth plugin` and `synth build`;
        # commit it with synth.toml. A library that differs from its entry here is not opened.
        version = 1

        [plugins.archive]
        crate = "synth-target-greet"
        version = "0.1.0"
        source = "crates.io"

        [plugins.archive.sha256]
        x86_64-unknown-linux-gnu = "3333333333333333333333333333333333333333333333333333333333333333"

        [plugins.greet]
        crate = "synth-target-greet"
        version = "1.0.0"
        source = "crates.io"

        [plugins.greet.sha256]
        aarch64-apple-darwin = "2222222222222222222222222222222222222222222222222222222222222222"
        x86_64-unknown-linux-gnu = "1111111111111111111111111111111111111111111111111111111111111111"
        "#);
    }

    #[test]
    fn another_version_has_no_digests_of_the_old_one() {
        let mut lock = Lock::default();
        lock.set("greet", pin("1.0.0", "aarch64-apple-darwin", "1"));
        lock.set("greet", pin("1.1.0", "x86_64-unknown-linux-gnu", "2"));
        assert_eq!(
            lock.pin("greet"),
            Some(&pin("1.1.0", "x86_64-unknown-linux-gnu", "2"))
        );
    }

    #[test]
    fn digests_are_the_same_in_both_cases() {
        let mut lock = Lock::default();
        lock.set("greet", pin("1.0.0", "x86_64-unknown-linux-gnu", "a"));
        let text = lock.to_text().unwrap();
        assert_eq!(Lock::parse(&text.replace("aaaa", "AAAA")).unwrap(), lock);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told() {
        for (text, code) in [
            ("", "lock.syntax"),
            ("<<<<<<< HEAD\n", "lock.syntax"),
            ("version = 2\n[new]\n", "lock.version"),
            ("version = 1\n[plugins.a]\ncrate = \"a\"\n", "lock.syntax"),
            (
                "version = 1\n[plugins.a]\ncrate = \"a\"\nversion = \"1.0.0\"\nsha = 1\n",
                "lock.syntax",
            ),
            (
                "version = 1\n[plugins.a]\ncrate = \"a\"\nversion = \"1.0.0\"\n[plugins.a.sha256]\nx = \"1\"\n",
                "lock.digest",
            ),
        ] {
            assert_eq!(Lock::parse(text).unwrap_err().code, code, "{text}");
        }
    }
}
