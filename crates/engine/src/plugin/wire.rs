//! What goes over the socket between synth and a plugin's process: frames of a kind, a method and
//! a message.

use std::io::{self, Read, Write};

use synth_core::Message;
use synth_core::protocol::Answer;

/// Longer messages are those of a plugin that has lost its mind.
const MOST_BYTES: u32 = 256 * 1024 * 1024;

/// The answer to a question, or in its place why it can't be sent.
pub(crate) fn sendable(answer: String) -> String {
    if u32::try_from(answer.len()).is_ok_and(|length| length <= MOST_BYTES) {
        return answer;
    }
    let refusal: Answer<()> = Answer::Malformed {
        reason: format!(
            "the answer has {} bytes, and {MOST_BYTES} are the most that go between processes",
            answer.len()
        ),
    };
    Message::new(refusal).to_json().unwrap_or_default()
}

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// To the plugin: a method and its message.
    Call { method: String, message: String },
    /// From the plugin, while it is at work: a method of the host, whose answer it waits for.
    Ask { method: String, message: String },
    /// From the plugin: a method of the host, whose answer it does not wait for.
    Tell { method: String, message: String },
    /// To whoever asked or called.
    Answer { message: String },
    /// From the plugin's process: the library could be opened.
    Opened,
    /// From the plugin's process: the library can't be opened, and why.
    Refused { message: String },
    /// From the plugin's process: it is alive.
    Alive,
}

impl Frame {
    fn parts(&self) -> (u8, &str, &str) {
        match self {
            Self::Call { method, message } => (0, method, message),
            Self::Ask { method, message } => (1, method, message),
            Self::Tell { method, message } => (2, method, message),
            Self::Answer { message } => (3, "", message),
            Self::Opened => (4, "", ""),
            Self::Refused { message } => (5, "", message),
            Self::Alive => (6, "", ""),
        }
    }

    /// Writes it at once.
    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (kind, method, message) = self.parts();
        let mut bytes = Vec::with_capacity(9 + method.len() + message.len());
        bytes.push(kind);
        for text in [method, message] {
            let length = u32::try_from(text.len()).map_err(io::Error::other)?;
            bytes.extend(length.to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        to.write_all(&bytes)
    }

    /// Reads the next one; none when the other side has closed.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut kind = [0];
        loop {
            match from.read(&mut kind) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let method = read_text(from)?;
        let message = read_text(from)?;
        Ok(Some(match kind[0] {
            0 => Self::Call { method, message },
            1 => Self::Ask { method, message },
            2 => Self::Tell { method, message },
            3 => Self::Answer { message },
            4 => Self::Opened,
            5 => Self::Refused { message },
            6 => Self::Alive,
            other => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{other} is no kind of frame"),
                ));
            }
        }))
    }
}

fn read_text(from: &mut impl Read) -> io::Result<String> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > MOST_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {length} bytes is too long"),
        ));
    }
    // Room is made as the bytes arrive, not because a length promises them.
    let mut bytes = Vec::new();
    from.take(length.into()).read_to_end(&mut bytes)?;
    if bytes.len() != usize::try_from(length).unwrap_or(usize::MAX) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were_written() {
        let text = |text: &str| text.to_owned();
        let frames = [
            Frame::Call {
                method: text("plan"),
                message: text("{}"),
            },
            Frame::Ask {
                method: text("read"),
                message: text("\"ä\""),
            },
            Frame::Tell {
                method: text("log"),
                message: text(""),
            },
            Frame::Answer { message: text("1") },
            Frame::Opened,
            Frame::Refused {
                message: text("no"),
            },
            Frame::Alive,
        ];
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.write(&mut bytes).unwrap();
        }
        let mut from = bytes.as_slice();
        for frame in frames {
            assert_eq!(Frame::read(&mut from).unwrap(), Some(frame));
        }
        assert_eq!(Frame::read(&mut from).unwrap(), None);
    }

    #[test]
    fn an_answer_that_is_too_long_is_told_and_not_sent() {
        assert_eq!(sendable("short".into()), "short");
        let most = usize::try_from(MOST_BYTES).unwrap();
        let told = sendable("x".repeat(most + 1));
        assert!(
            told.contains("the answer has 268435457 bytes"),
            "{:.100}",
            told
        );
    }

    #[test]
    fn nonsense_is_an_error_and_takes_no_memory() {
        for (bytes, expected) in [
            (vec![9, 0, 0, 0, 0, 0, 0, 0, 0], "9 is no kind of frame"),
            (
                vec![0, 255, 255, 255, 255],
                "a message of 4294967295 bytes is too long",
            ),
            (vec![0, 9, 0], "failed to fill whole buffer"),
            (vec![0, 9, 0, 0, 0, b'a'], "unexpected end of file"),
        ] {
            let error = Frame::read(&mut bytes.as_slice());
            let expected = expected.to_owned();
            match error {
                Err(error) => assert_eq!(error.to_string(), expected, "{bytes:?}"),
                Ok(frame) => assert_eq!(format!("{frame:?}"), expected, "{bytes:?}"),
            }
        }
    }
}
