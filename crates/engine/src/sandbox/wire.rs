//! What goes between synth and the sandbox's host process: over one socket, requests with the
//! descriptors of an action; over a socket of each action's own, orders to it and its report.

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Root;
use crate::jobserver::Terms;

/// Longer requests are none of synth's: an argument vector has at most a few MiB.
const MOST_BYTES: u32 = 64 * 1024 * 1024;

/// How many descriptors come with a request at the most: the action's own socket, its three streams,
/// and the two ends of a jobserver.
const MOST_DESCRIPTORS: usize = 6;

/// To an action: its processes are asked to end.
pub(super) const TERMINATE: u8 = b'T';
/// To an action: they are ended.
pub(super) const KILL: u8 = b'K';

/// A process to run, and what it is to see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What its root directory is made of.
    pub root: Root,
    /// The action's own directory, which appears as `/synth`.
    pub directory: PathBuf,
    /// The name of inputs in memory, on which its `root` is stacked; what it writes goes into the
    /// latter. A directory beside, named with `.work`, is for the kernel's use.
    pub inputs: Option<String>,
    /// Whether it appears where it really is too.
    pub also_in_place: bool,
    /// What else of the machine appears, each where it really is.
    pub shown: Vec<Shown>,
    /// Symbolic links that appear: where, and what they hold.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// What is empty, though it is below something that appears.
    pub hidden: Vec<PathBuf>,
    /// Whether it gets the machine's network.
    pub network: bool,
    /// The executable, as seen from inside.
    pub program: PathBuf,
    /// What follows the program's name.
    pub arguments: Vec<Text>,
    /// Where it starts, as seen from inside.
    pub working_directory: PathBuf,
    /// All of its variables.
    pub environment: Vec<(Text, Text)>,
    /// What it is told of the jobserver that it gets, where its variables don't say anything else.
    pub jobserver: Option<Terms>,
}

/// A file or a directory of the machine that an action sees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shown {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Whether it may be changed.
    pub writable: bool,
}

/// A text that need not be UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub OsString);

impl<T: AsRef<OsStr>> From<T> for Text {
    fn from(text: T) -> Self {
        Self(text.as_ref().to_owned())
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => self.0.as_bytes().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Bytes(Vec<u8>),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Text(text) => text.into(),
            Form::Bytes(bytes) => OsString::from_vec(bytes),
        }))
    }
}

/// What synth says once, first: how the host is to hold actions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Hold {
    /// In namespaces: they see what they are shown.
    Confined,
    /// Together, and no more: what they start ends with them.
    Together {
        /// A file that is locked, shared, until all of them have ended.
        lock: Option<Text>,
    },
}

/// What the host says once, when it is ready or can't be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Beginning {
    /// Whether the directory of inputs in memory follows.
    Ready {
        inputs: bool,
    },
    Refused(Trouble),
}

/// How an action ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    Ended {
        /// None when a signal ended it.
        exit_code: Option<i32>,
        signal: Option<i32>,
        /// Of all its processes.
        cpu_microseconds: u64,
        /// Of the largest of its processes.
        peak_memory_bytes: u64,
        /// Of all its processes, from and to the disk.
        read_bytes: u64,
        written_bytes: u64,
    },
    /// The program could not be executed: an error number.
    NotStarted(i32),
    /// Its directory could not be stacked on its inputs.
    NotStacked(Trouble),
    /// What it was to see could not be made.
    NotPrepared(Trouble),
}

/// A step of the sandbox that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step}: {reason}")]
pub struct Trouble {
    /// What was being done.
    pub step: String,
    /// What the system said.
    pub reason: String,
}

impl Trouble {
    pub(super) fn at<E: Into<io::Error>>(step: impl Into<String>) -> impl FnOnce(E) -> Self {
        let step = step.into();
        move |error| Self {
            step,
            reason: error.into().to_string(),
        }
    }
}

/// Sends a request with its descriptors.
pub(super) fn send(
    socket: &UnixStream,
    request: &Request,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let message = frame(request)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("a request has too many descriptors"));
    }
    let sent = loop {
        let slices = [IoSlice::new(&message)];
        match sendmsg(socket, &slices, &mut ancillary, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            sent => break sent?,
        }
    };
    // The descriptors went with the first byte.
    let mut socket = socket;
    socket.write_all(message.get(sent..).unwrap_or_default())
}

/// Receives a request with its descriptors; none when the other side has closed.
pub(super) fn receive(socket: &UnixStream) -> io::Result<Option<(Request, Vec<OwnedFd>)>> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut slices = [IoSliceMut::new(&mut length)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        match recvmsg(socket, &mut slices, &mut ancillary, flags) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("a request came with too many descriptors"));
    }
    let mut from = socket;
    from.read_exact(length.get_mut(received.bytes..).unwrap_or_default())?;
    let request = parse(&read_frame(&mut from, u32::from_le_bytes(length))?)?;
    Ok(Some((request, descriptors)))
}

/// Writes a message without descriptors.
pub(super) fn write<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    to.write_all(&frame(message)?)
}

/// Reads one.
pub(super) fn read<T: for<'de> Deserialize<'de>>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    parse(&read_frame(from, u32::from_le_bytes(length))?)
}

fn frame<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = u32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
    if length > MOST_BYTES {
        return Err(io::Error::from(io::ErrorKind::ArgumentListTooLong));
    }
    if let Some(head) = bytes.get_mut(..4) {
        head.copy_from_slice(&length.to_le_bytes());
    }
    Ok(bytes)
}

/// What follows a length.
fn read_frame(from: &mut impl Read, length: u32) -> io::Result<Vec<u8>> {
    if length > MOST_BYTES {
        let message = format!("a message of {length} bytes is too long");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    // Room is made as the bytes arrive, not because a length promises them.
    let mut bytes = Vec::new();
    from.take(length.into()).read_to_end(&mut bytes)?;
    if bytes.len() != usize::try_from(length).unwrap_or(usize::MAX) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// A message from its bytes, the length not among them.
pub(super) fn parse<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn requests_arrive_with_their_descriptors() {
        let (here, there) = UnixStream::pair().unwrap();
        let request = Request {
            program: "/bin/true".into(),
            arguments: vec![Text::from("a"), Text::from(OsStr::from_bytes(b"\xff"))],
            shown: vec![Shown {
                path: "/opt".into(),
                writable: false,
            }],
            ..Request::default()
        };
        let (reader, writer) = io::pipe().unwrap();
        let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let sent = [null(), null(), null(), writer.into()];
        send(&here, &request, &sent.each_ref().map(AsFd::as_fd)).unwrap();
        drop(sent);
        let (received, mut descriptors) = receive(&there).unwrap().unwrap();
        assert_eq!(received, request);
        assert_eq!(descriptors.len(), 4);
        let mut writer = std::fs::File::from(descriptors.pop().unwrap());
        writer.write_all(b"here").unwrap();
        drop(writer);
        assert_eq!(io::read_to_string(reader).unwrap(), "here");
        drop(here);
        assert!(receive(&there).unwrap().is_none());
    }

    #[test]
    fn nonsense_is_an_error_and_takes_no_memory() {
        for bytes in [vec![255; 4], vec![2, 0, 0, 0, b'a'], vec![1, 0, 0, 0, b'a']] {
            let read: io::Result<Beginning> = read(&mut bytes.as_slice());
            assert!(read.is_err(), "{bytes:?}");
        }
    }
}
