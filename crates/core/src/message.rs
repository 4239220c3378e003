//! The envelope of everything that crosses between a target crate and the engine.

use semver::Version;
use serde::{Deserialize, Serialize};

/// The version of the interface between targets and the engine: of the types of this crate that
/// are carried in a [`Message`], apart from the version of the product. While it is 0.x, a minor
/// version adds fields and methods; a reader ignores fields it does not know and gives those it
/// misses their defaults.
pub const INTERFACE_VERSION: Version = Version::new(0, 2, 0);

/// [`INTERFACE_VERSION`] as text.
pub const INTERFACE_VERSION_TEXT: &str = "0.2.0";

/// A body with the interface version of the side that wrote it.
///
/// ```
/// use synth_core::{Diagnostic, Message};
///
/// let text = Message::new(Diagnostic::error("a.b", "c")).to_json()?;
/// let back: Message<Diagnostic> = Message::from_json(&text)?;
/// assert_eq!(back.body.code, "a.b");
/// # Ok::<(), synth_core::MessageError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message<T> {
    /// The writer's interface version.
    pub interface: Version,
    /// What is said.
    pub body: T,
}

/// Why a message can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Not JSON, or not of the expected shape.
    #[error("the message is not of the expected shape")]
    Shape(#[from] serde_json::Error),
    /// Written by an interface with another major version.
    #[error("the message is of interface {found}, this side speaks {expected}")]
    Version {
        /// The writer's.
        found: Version,
        /// The reader's.
        expected: Version,
    },
}

impl<T> Message<T> {
    /// Wraps a body with this side's version.
    pub fn new(body: T) -> Self {
        Self {
            interface: INTERFACE_VERSION,
            body,
        }
    }
}

impl<T: Serialize> Message<T> {
    /// The message as JSON (RFC 8259).
    ///
    /// # Errors
    /// When the body has a map with keys that are not texts.
    pub fn to_json(&self) -> Result<String, MessageError> {
        Ok(serde_json::to_string(self)?)
    }
}

impl<T: for<'de> Deserialize<'de>> Message<T> {
    /// Reads a message, the version before the body.
    ///
    /// # Errors
    /// When the text is not such a message, or is of another major version.
    pub fn from_json(text: &str) -> Result<Self, MessageError> {
        if let Some(body) = of_this_interface(text) {
            return Ok(Self::new(body));
        }
        let envelope: Message<&serde_json::value::RawValue> = serde_json::from_str(text)?;
        if envelope.interface.major != INTERFACE_VERSION.major {
            return Err(MessageError::Version {
                found: envelope.interface,
                expected: INTERFACE_VERSION,
            });
        }
        Ok(Self {
            interface: envelope.interface,
            body: serde_json::from_str(envelope.body.get())?,
        })
    }
}

/// The body of a message as [`Message::to_json`] of this interface writes it, which is nearly
/// every one: read in one go. None when it is another, or is wrong.
fn of_this_interface<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    let version = text.strip_prefix(r#"{"interface":""#)?;
    let body = version.strip_prefix(INTERFACE_VERSION_TEXT)?;
    let body = body.strip_prefix(r#"","body":"#)?.strip_suffix('}')?;
    serde_json::from_str(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_same_as_text() {
        assert_eq!(INTERFACE_VERSION.to_string(), INTERFACE_VERSION_TEXT);
    }

    #[test]
    fn another_major_version_is_refused_before_the_body_is_read() {
        let result = Message::<String>::from_json(r#"{"interface":"7.0.0","body":{"new":1}}"#);
        assert_eq!(
            result.unwrap_err().to_string(),
            "the message is of interface 7.0.0, this side speaks 0.2.0"
        );
    }

    #[test]
    fn a_newer_minor_version_is_read_and_its_unknown_fields_ignored() {
        let text = r#"{"interface":"0.9.0","later":1,"body":"kept"}"#;
        assert_eq!(Message::<String>::from_json(text).unwrap().body, "kept");
    }

    #[test]
    fn what_this_interface_writes_is_read_in_one_go() {
        let text = Message::new("a \"}").to_json().unwrap();
        assert_eq!(of_this_interface::<String>(&text).unwrap(), "a \"}");
        for other in [
            r#"{"interface":"0.2.0","body":"kept","later":1}"#,
            r#"{"interface":"0.2.0", "body":"kept"}"#,
            r#"{"body":"kept","interface":"0.2.0"}"#,
        ] {
            assert_eq!(of_this_interface::<String>(other), None, "{other}");
            assert_eq!(Message::<String>::from_json(other).unwrap().body, "kept");
        }
    }
}
