//! What the last build saw and left, so that the next one looks at stamps and not at contents: a
//! build without changes neither plans nor hashes nor opens a plugin, and one with changes does so
//! for what they reach.

mod contents;
mod earlier;
pub(crate) mod fact;
mod gather;
pub(crate) mod stamp;
mod watched;

pub(crate) use contents::{Contents, Entry, Place};
pub use earlier::{BuildRequest, Earlier};
pub(crate) use earlier::{digests, forget};
pub(crate) use gather::{Built, Gathering, Unchanged, gather};
pub use watched::Watched;
