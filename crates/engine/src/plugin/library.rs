//! Opens a plugin's library in this process.
#![allow(
    unsafe_code,
    reason = "opening a library runs its initializers, and its header is found by name"
)]

use std::path::Path;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use synth_core::abi::{AbiError, HEADER_SYMBOL, Header, LoadedPlugin};

/// Why a library can't be opened, though its manifest promised that it can.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The system's loader refuses it.
    #[error("{0}")]
    Loader(String),
    /// It has a manifest, but no header.
    #[error("it exports no target kind")]
    NoHeader,
    /// What it exports can't be used.
    #[error(transparent)]
    Abi(#[from] AbiError),
}

/// Opens a library. It stays open for as long as the process lives.
///
/// A library that runs harmful code when it is opened, or that lies about its types, can't be told
/// from a good one: whoever opens one trusts it, or does so in a process of its own.
pub(crate) fn open(path: &Path) -> Result<LoadedPlugin, OpenError> {
    let loader = |error: &libloading::Error| {
        let source = std::error::Error::source(error).map(ToString::to_string);
        OpenError::Loader(source.unwrap_or_else(|| error.to_string()))
    };
    // All its symbols are looked for now, so that one that is missing is an error here and not a
    // crash later; its own symbols are nobody else's.
    // SAFETY: the library's initializers run; the caller trusts it, see above.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| loader(&error))?;
    // SAFETY: the address alone is taken, and nothing is read through it here.
    let header = unsafe { library.get::<*const Header>(HEADER_SYMBOL.as_bytes()) };
    let header = header.map_err(|_| OpenError::NoHeader)?.into_raw();
    // Threads, thread-local values and statics of the plugin outlive every call into it.
    std::mem::forget(library);
    // SAFETY: the address is that of the symbol, and the library is never closed.
    Ok(unsafe { LoadedPlugin::from_header(header.cast_const().cast()) }?)
}
