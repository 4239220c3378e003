//! Receipts of processes: the bytes of a file, as a journal keeps them, and the same bytes again.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};
use synth_core::{Concern, Diagnostic};

/// The most that a receipt takes in a journal: part of the room that is kept for each effect.
const MOST_BYTES: usize = 48 * 1024;

/// A receipt as a journal keeps it: null when none was written.
pub(super) fn read(path: &Path) -> Result<Value, Diagnostic> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Value::Null),
        Err(error) => {
            return Err(
                Diagnostic::error("effect.receipt", "the receipt can't be read")
                    .concerning(Concern::State)
                    .caused_by(&error),
            );
        }
    };
    let length = bytes.len();
    let kept = match String::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        Err(error) => json!({ "hex": hex::encode(error.as_bytes()) }),
    };
    match kept.to_string().len() <= MOST_BYTES {
        true => Ok(kept),
        false => {
            let message = format!("the receipt has {length} bytes, which is more than are kept");
            Err(Diagnostic::error("effect.receipt", message).help(format!(
                "write less than {} KiB to `$SYNTH_RECEIPT`: the name of a list that is kept \
                 elsewhere, say",
                MOST_BYTES / 1024
            )))
        }
    }
}

/// What was written; none when nothing was.
pub(super) fn bytes(kept: &Value) -> Option<Vec<u8>> {
    let text = |name: &str| kept.get(name).and_then(Value::as_str);
    match (text("text"), text("hex")) {
        (Some(text), _) => Some(text.as_bytes().to_vec()),
        (None, Some(digits)) => hex::decode(digits).ok(),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_comes_back_byte_for_byte() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("receipt");
        assert_eq!(read(&path).unwrap(), Value::Null);
        assert_eq!(bytes(&Value::Null), None);
        for written in [
            &b""[..],
            b"v1.2\n",
            b"1.10",
            b"\"text\"",
            b"{\"a\": 1}",
            b"\xff\0",
        ] {
            fs::write(&path, written).unwrap();
            assert_eq!(bytes(&read(&path).unwrap()).as_deref(), Some(written));
        }
        fs::write(&path, vec![1; MOST_BYTES / 2]).unwrap();
        let problem = read(&path).unwrap_err();
        assert_eq!(problem.code, "effect.receipt");
    }
}
