//! What the command of a target leaves: its sources in one file, below a digest of each bundle that
//! it needs. xtask checks bundles with it, and the program that all tools run is made from it.

use std::path::Path;
use std::{fs, io};

/// Where a package has its sources.
pub(crate) const SOURCES: &str = "src";

/// Where a package has its bundle.
pub(crate) const BUNDLE: &str = "out/bundle.txt";

/// A digest (FNV-1a) of a bundle: enough that a change of it is one of all that need it.
pub(crate) fn digest(bundle: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    bundle.iter().fold(OFFSET, mix)
}

/// The bundle of a package, from its sources as they are and the digests of those that it needs.
pub(crate) fn bundle(package: &Path, needs: &[u64]) -> io::Result<Vec<u8>> {
    let mut bundle = Vec::new();
    for need in needs {
        bundle.extend_from_slice(format!("{need:016x}\n").as_bytes());
    }
    let mut sources = Vec::new();
    for entry in fs::read_dir(package.join(SOURCES))? {
        sources.push(entry?.path());
    }
    sources.sort();
    for source in sources {
        bundle.append(&mut fs::read(source)?);
    }
    Ok(bundle)
}
