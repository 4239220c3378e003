//! Core metadata (METADATA, PKG-INFO) and the WHEEL file: header fields in the form of e-mails.

use std::str::FromStr;

use mailparse::{MailHeader, MailHeaderMap};
use pep440_rs::Version;
use synth_core::Diagnostic;

/// Header fields of a file.
pub(super) struct Fields<'a>(Vec<MailHeader<'a>>);

impl<'a> Fields<'a> {
    /// Reads the fields before the first empty line.
    pub(super) fn parse(bytes: &'a [u8], place: &str) -> Result<Self, Diagnostic> {
        let parsed = mailparse::parse_headers(bytes).map_err(|error| {
            Diagnostic::error(
                "python.metadata.syntax",
                format!("`{place}` is not in the form of header fields"),
            )
            .caused_by(&error)
        })?;
        Ok(Self(parsed.0))
    }

    /// The first value of a field.
    pub(super) fn one(&self, name: &str) -> Option<String> {
        self.0.get_first_value(name)
    }

    /// All values of a field.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.0.get_all_values(name)
    }
}

/// What core metadata say about a distribution.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) version: Version,
    /// The version as it is written.
    pub(super) version_text: String,
    pub(super) requires_python: Option<String>,
    pub(super) requires: Vec<String>,
    pub(super) extras: Vec<String>,
}

impl Metadata {
    /// Reads and checks them. `place` names the file in messages.
    pub(super) fn parse(bytes: &[u8], place: &str) -> Result<Self, Vec<Diagnostic>> {
        let fields = Fields::parse(bytes, place).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let mut field = |name: &str| {
            let value = fields.one(name).filter(|value| !value.trim().is_empty());
            if value.is_none() {
                problems.push(Diagnostic::error(
                    "python.metadata.missing",
                    format!("`{place}` has no field {name}"),
                ));
            }
            value.unwrap_or_default()
        };
        let metadata_version = field("Metadata-Version");
        let name = field("Name");
        let version_text = field("Version");
        if !problems.is_empty() {
            return Err(problems);
        }
        if !metadata_version.starts_with("1.") && !metadata_version.starts_with("2.") {
            problems.push(Diagnostic::error(
                "python.metadata.version",
                format!(
                    "`{place}` is of metadata version `{metadata_version}`; 1.x or 2.x was expected"
                ),
            ));
        }
        match Version::from_str(&version_text) {
            Ok(version) if problems.is_empty() => Ok(Self {
                name,
                version,
                version_text,
                requires_python: fields.one("Requires-Python"),
                requires: fields.all("Requires-Dist"),
                extras: fields.all("Provides-Extra"),
            }),
            Ok(_) => Err(problems),
            Err(error) => {
                let message = format!("version `{version_text}` of `{place}` is not valid");
                let problem = Diagnostic::error("python.metadata.version", message);
                problems.push(problem.caused_by(&error).help("write it as PEP 440 says"));
                Err(problems)
            }
        }
    }
}
