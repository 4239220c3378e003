//! The log of steps as bytes: each with its length and a check. A last one that was cut off by the end
//! of its build was not taken, and is no step; anything else that is wrong is refused.

use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use synth_core::{Concern, Diagnostic};

use super::{LOG, Step, Undo};

/// How much of its digest checks a step.
const CHECK_BYTES: usize = 8;

pub(super) fn encoded(step: &Step) -> io::Result<Vec<u8>> {
    let payload = postcard::to_allocvec(step).map_err(io::Error::other)?;
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(Sha256::digest(&payload).iter().take(CHECK_BYTES));
    bytes.extend(payload);
    Ok(bytes)
}

/// The whole steps; none when what is between them is none.
pub(super) fn decoded(mut rest: &[u8]) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>()
        && let Some((check, after)) = after.split_first_chunk::<CHECK_BYTES>()
        && let Ok(length) = usize::try_from(u32::from_le_bytes(*length))
        && let Some((payload, after)) = after.split_at_checked(length)
    {
        if !Sha256::digest(payload).starts_with(check) {
            return None;
        }
        steps.push(postcard::from_bytes(payload).ok()?);
        rest = after;
    }
    Some(steps)
}

impl Undo {
    /// The steps as they were written.
    pub(super) fn steps(&self) -> Result<Vec<Step>, Diagnostic> {
        let path = self.directory.join(LOG);
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
        decoded(&bytes).ok_or_else(|| unreadable(&path, &damaged()))
    }

    /// The name of the effects that began when all was in place, if they did.
    pub(crate) fn effects(&self) -> Result<Option<String>, Diagnostic> {
        let mut steps = self.steps()?.into_iter().rev();
        Ok(steps.find_map(|step| match step {
            Step::Effects { build } => Some(build),
            _ => None,
        }))
    }
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(
        "rollback.log",
        format!("the log `{}` can't be used", path.display()),
    )
    .concerning(Concern::State)
    .caused_by(error)
    .help(
        "it tells how the outputs of before come back after a build that was killed, and they are \
         beside it: bring back by hand what is missed, then remove `.synth/undo`",
    )
}
