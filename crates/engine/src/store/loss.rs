//! What was found damaged or missing while the store was used: told in the build's report.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use synth_core::{Concern, Diagnostic, Digest};

/// A blob that can't be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    digest: Digest,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Missing,
    /// With where it has been moved, if it could be.
    Damaged(Option<PathBuf>),
}

impl Loss {
    pub(super) fn missing(digest: &Digest) -> Self {
        Self {
            digest: digest.clone(),
            kind: Kind::Missing,
        }
    }

    pub(super) fn damaged(digest: &Digest, aside: Option<PathBuf>) -> Self {
        Self {
            digest: digest.clone(),
            kind: Kind::Damaged(aside),
        }
    }

    /// As it is told in a build's report.
    pub(crate) fn into_warning(self) -> Diagnostic {
        let name = &self.digest.sha256;
        let warning = match &self.kind {
            Kind::Missing => Diagnostic::warning(
                "store.missing",
                format!("the blob {name} was no longer in the store, and was made anew"),
            )
            .help("something else than synth has removed it: `synth cache verify` looks for more"),
            Kind::Damaged(Some(aside)) => Diagnostic::warning(
                "store.damaged",
                format!(
                    "the blob {name} was damaged in the store: it was moved to `{}`, and made anew",
                    aside.display()
                ),
            )
            .help("the disk may be failing: `synth cache verify` looks for more"),
            Kind::Damaged(None) => Diagnostic::warning(
                "store.damaged",
                format!("the blob {name} is damaged in the store, and can't be moved aside"),
            )
            .help("make the store writable for this user, then run `synth cache verify`"),
        };
        warning.concerning(Concern::State)
    }
}

/// The losses of a build.
#[derive(Debug, Default)]
pub(super) struct Losses {
    found: Mutex<Vec<Loss>>,
    /// Whether something could not be done because of one.
    interrupted: AtomicBool,
}

impl Losses {
    pub(super) fn add(&self, loss: Loss) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if !found.contains(&loss) {
            found.push(loss);
        }
    }

    pub(super) fn take(&self) -> Vec<Loss> {
        std::mem::take(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }
}
