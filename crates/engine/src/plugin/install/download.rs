//! Fetches a library that somebody has built. Its digest is known beforehand, so it does not matter
//! over which way it comes.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use synth_core::{Concern, Diagnostic};
use tokio_util::sync::CancellationToken;

use crate::plugin::file::MOST_BYTES;

/// How often a download is begun.
const ATTEMPTS: u32 = 3;

/// How long a connection or a read may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why an attempt came to nothing.
enum Failed {
    /// Another attempt may help.
    Now(String),
    /// No other attempt will help.
    Always(String),
}

/// Downloads `url` to a file, and compares its digest.
pub(super) async fn download(
    url: &str,
    sha256: &str,
    to: &Path,
    cancel: &CancellationToken,
) -> Result<(), Diagnostic> {
    let failed = |reason: String| {
        Diagnostic::error("plugin.download", format!("`{url}` can't be downloaded"))
            .concerning(Concern::Environment)
            .cause(reason)
    };
    let mut reason = String::new();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            // 1 s, then 2 s.
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(u64::from(attempt))) => {}
                () = cancel.cancelled() => return Err(super::cancelled()),
            }
        }
        let (owned_url, owned_to, stop) = (url.to_owned(), to.to_owned(), cancel.clone());
        let fetching = tokio::task::spawn_blocking(move || fetch(&owned_url, &owned_to, &stop));
        let fetched = tokio::select! {
            fetched = fetching => fetched.map_err(|error| failed(error.to_string()))?,
            () = cancel.cancelled() => return Err(super::cancelled()),
        };
        match fetched {
            Ok(found) if found == sha256 => return Ok(()),
            Ok(found) => return Err(wrong_digest(url, sha256, &found)),
            Err(Failed::Always(reason)) => return Err(failed(reason)),
            Err(Failed::Now(why)) => reason = why,
        }
    }
    Err(failed(reason).help("check the address and the network, and try again"))
}

/// What came is not what was asked for.
pub(super) fn wrong_digest(from: &str, expected: &str, found: &str) -> Diagnostic {
    Diagnostic::error(
        "plugin.digest",
        format!("`{from}` is not the library that was asked for, and is not installed"),
    )
    .concerning(Concern::Environment)
    .cause(format!("expected: SHA-256 {expected}"))
    .cause(format!("found: SHA-256 {found}"))
    .help("check the digest with whoever published the library")
}

/// One attempt; gives the digest of what came.
fn fetch(url: &str, to: &Path, cancel: &CancellationToken) -> Result<String, Failed> {
    let agent = agent();
    let mut response = agent.get(url).call().map_err(|error| match error {
        // 408 and 429 ask for patience, and the server's own faults may pass (RFC 9110, 15.5, 15.6;
        // RFC 6585, 4).
        ureq::Error::StatusCode(code @ (408 | 429 | 500..=599)) => {
            Failed::Now(format!("the server answered with status {code}"))
        }
        ureq::Error::StatusCode(code) => {
            Failed::Always(format!("the server answered with status {code}"))
        }
        error @ (ureq::Error::BadUri(_) | ureq::Error::Http(_)) => {
            Failed::Always(error.to_string())
        }
        error => Failed::Now(error.to_string()),
    })?;
    let mut body = response
        .body_mut()
        .with_config()
        .limit(MOST_BYTES + 1)
        .reader();
    let mut file = File::create(to).map_err(|error| Failed::Always(error.to_string()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut size: u64 = 0;
    loop {
        if cancel.is_cancelled() {
            return Err(Failed::Always("it was stopped".into()));
        }
        let count = body
            .read(&mut buffer)
            .map_err(|error| Failed::Now(error.to_string()))?;
        if count == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        size += u64::try_from(count).unwrap_or(u64::MAX);
        if size > MOST_BYTES {
            let most = MOST_BYTES / (1024 * 1024);
            return Err(Failed::Always(format!("it has more than {most} MiB")));
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count])
            .map_err(|error| Failed::Always(error.to_string()))?;
    }
}

/// Proxies are those of the environment, certificates those of the system.
fn agent() -> ureq::Agent {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(provider)
        .build();
    ureq::Agent::config_builder()
        .tls_config(tls)
        .user_agent(concat!("synth/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        .build()
        .new_agent()
}
