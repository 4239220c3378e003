//! `os/architecture[/variant]`, in the words of OCI and Docker.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Platform {
    pub(crate) architecture: String,
    pub(crate) os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
}

impl Platform {
    /// Linux on this machine's processor.
    pub(crate) fn host() -> Self {
        let (architecture, variant) = normal_architecture(std::env::consts::ARCH, None);
        Self {
            architecture,
            os: "linux".into(),
            variant,
        }
    }

    /// Whether an image for `offered` runs where this one is asked for.
    pub(crate) fn accepts(&self, offered: &Self) -> bool {
        self.os == offered.os
            && self.architecture == offered.architecture
            && (self.variant == offered.variant
                || offered.variant.is_none()
                || self.variant.is_none())
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let valid = parts.iter().all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        });
        let (os, architecture, variant) = match parts.as_slice() {
            [os, architecture] if valid => (*os, *architecture, None),
            [os, architecture, variant] if valid => (*os, *architecture, Some(*variant)),
            _ => {
                return Err(format!(
                    "`{text}` is not a platform: `os/architecture` or `os/architecture/variant` was expected"
                ));
            }
        };
        let (architecture, variant) =
            normal_architecture(&architecture.to_ascii_lowercase(), variant);
        Ok(Self {
            architecture,
            os: os.to_ascii_lowercase(),
            variant,
        })
    }
}

/// The name that images use for an architecture.
fn normal_architecture(name: &str, variant: Option<&str>) -> (String, Option<String>) {
    let (name, variant) = match (name, variant) {
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("x86" | "i386" | "i686", variant) => ("386", variant),
        ("aarch64", variant) => ("arm64", variant),
        ("arm" | "armhf", None) => ("arm", Some("v7")),
        ("powerpc64", variant) => ("ppc64le", variant),
        ("loongarch64", variant) => ("loong64", variant),
        other => other,
    };
    // The first variant of these is the architecture itself.
    let variant = match (name, variant) {
        ("arm64", Some("v8")) | ("amd64", Some("v1")) => None,
        (_, variant) => variant.map(str::to_owned),
    };
    (name.to_owned(), variant)
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(formatter, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read_and_normalized() {
        for (text, expected) in [
            ("linux/amd64", Some("linux/amd64")),
            ("linux/x86_64", Some("linux/amd64")),
            ("Linux/aarch64/v8", Some("linux/arm64")),
            ("linux/arm/v6", Some("linux/arm/v6")),
            ("linux/arm", Some("linux/arm/v7")),
            ("linux", None),
            ("linux//x", None),
        ] {
            let platform = text.parse::<Platform>().ok().map(|found| found.to_string());
            assert_eq!(platform.as_deref(), expected, "{text}");
        }
    }
}
