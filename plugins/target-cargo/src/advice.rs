//! What to do about failures that people meet with Rust projects. Patterns of what Cargo, the
//! compiler and linkers print.

use synth_core::Advice;

/// The first that matches is told: what is more special comes first.
pub(crate) fn advice() -> Vec<Advice> {
    vec![
        Advice::new(
            "cargo.linker.missing",
            r"linker `([^`]+)` not found",
            "there is no linker `$1`",
        )
        .help("install a C compiler, which brings one: `apt-get install build-essential`; for another platform, the cross compiler that `.cargo/config.toml` names"),
        Advice::new(
            "cargo.lock.stale",
            r"(?:lock file|Cargo\.lock) .*needs to be updated but --(?:locked|frozen)|cannot (?:update|create) the lock file",
            "Cargo.lock is not the one that belongs to the manifests",
        )
        .help("bring it up to date and put it under version control: `cargo update --workspace`"),
        Advice::new(
            "cargo.versions.conflict",
            r"failed to select a version for (?:the requirement )?`([^`]+)`",
            "no version of `$1` fits all that want it",
        )
        .help("the log names who wants which: relax one of the requirements, or `cargo update` the others"),
        Advice::new(
            "cargo.package.missing",
            r"no matching package (?:named `[^`]+` )?found",
            "there is no such package where Cargo looks for it",
        )
        .help("look at its name and its source in Cargo.toml, and at `[source]` of `.cargo/config.toml`"),
        Advice::new(
            "cargo.rustc.version",
            r"requires rustc [\d.]+|is not supported by the following packages",
            "the compiler is older than a package asks for",
        )
        .help("choose a newer toolchain (`toolchain`, or rust-toolchain.toml), or an older version of the package: `cargo update PACKAGE --precise VERSION`"),
        Advice::new(
            "cargo.target.missing",
            r"can't find crate for `(?:core|std)`|the `([^`]+)` target may not be installed",
            "the standard library for the platform that is built for is not installed",
        )
        .help("`rustup target add TRIPLE`, with the triple of `target`"),
        Advice::new(
            "cargo.offline",
            r"attempting to make an HTTP request, but --offline was specified|you're in offline mode",
            "a package is to be fetched, and `offline` is set",
        )
        .help("fetch it once (`cargo fetch`), vendor it (`cargo vendor`), or leave `offline` out"),
        Advice::new(
            "cargo.pkg_config",
            r"pkg-config exited with status|The system library `[^`]+` required by crate `[^`]+` was not found|Could not find directory of OpenSSL installation",
            "a library of the system that a package is made for is missing",
        )
        .help("install its development package and pkg-config: `apt-get install pkg-config libssl-dev` for OpenSSL"),
    ]
}
