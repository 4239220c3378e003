//! Looks actions up in the cache, by the key of what they are now.

use synth_core::{Action, Concern, Diagnostic, TargetDescription};

use crate::key::Key;
use crate::schedule::Workshop;
use crate::store::CachedAction;
use crate::tree::Tree;

/// An action's key, and its result where that is `wanted` and known.
pub(crate) fn look_up(
    workshop: &Workshop,
    action: &Action,
    inputs: &Tree,
    description: &TargetDescription,
    wanted: bool,
) -> Result<(Key, Option<CachedAction>), Diagnostic> {
    let mut sandbox = workshop.sandbox.expected_identity();
    loop {
        let key = Key::of(action, inputs, description, &sandbox);
        let known = match wanted {
            true => workshop.store.get_action(&key.digest(), &action.outputs),
            false => Ok(None),
        };
        let known = known.map_err(|error| {
            Diagnostic::error("store.read", "the action cache can't be read")
                .concerning(Concern::State)
                .caused_by(&error)
        })?;
        if known.is_some() {
            return Ok((key, known));
        }
        // It is going to be executed, so the sandbox is started here.
        let real = workshop.sandbox.identity();
        if real == sandbox {
            return Ok((key, None));
        }
        sandbox = real;
    }
}
