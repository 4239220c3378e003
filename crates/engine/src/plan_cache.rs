//! Plans of earlier builds: one record for each target, with what its kind
//! asked of the project while it planned. While the answers are the same, so is the plan, and the
//! kind is not asked. A record that can't be read is none.

use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, INTERFACE_VERSION, Plan, TargetSpec};

use crate::digest::digest_bytes;
use crate::kind::Kind;
use crate::project::Project;
use crate::recorded::Dialogue;
use crate::records::Sort;
use crate::state::State;

/// The first word of a record, with the version of its form.
const HEADER: &str = "synth-plan-1";

/// Keeps plans, and finds them again.
pub(crate) struct PlanCache {
    state: State,
    /// Whether anything is kept, and what is kept used.
    used: bool,
}

/// What a kind had to say of a target that it can build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Planned {
    /// The warnings of its validation, where the kind put them.
    pub(crate) warnings: Vec<Diagnostic>,
    pub(crate) plan: Plan,
}

/// A record's second line.
#[derive(Serialize, Deserialize)]
struct Record {
    /// Of everything but the project that the plan follows from.
    key: String,
    dialogue: Dialogue,
    planned: Planned,
}

impl PlanCache {
    pub(crate) fn new(state: State, used: bool) -> Self {
        Self { state, used }
    }

    /// The plan that the kind would make now, if that is known.
    pub(crate) fn recall(
        &self,
        target: &TargetSpec,
        kind: &Kind,
        project: &Project,
    ) -> Option<(Planned, Dialogue)> {
        if !self.used {
            return None;
        }
        let key = key(target, kind)?;
        let text = self.state.records().get(Sort::Plan, &target.name)?;
        let record = read(&text).filter(|record| record.key == key)?;
        let Record {
            dialogue, planned, ..
        } = record;
        dialogue.holds(project).then_some((planned, dialogue))
    }

    /// Keeps a plan for the next build. One that can't be kept is made anew.
    pub(crate) fn keep(
        &self,
        target: &TargetSpec,
        kind: &Kind,
        dialogue: &Dialogue,
        planned: &Planned,
    ) {
        let Some(key) = key(target, kind).filter(|_| self.used) else {
            return;
        };
        let record = Record {
            key,
            dialogue: dialogue.clone(),
            planned: planned.clone(),
        };
        if let Some(text) = text_of(&record) {
            let record = (target.name.as_str(), text.as_slice());
            let _ = self.state.records().put(Sort::Plan, [record]);
        }
    }
}

/// What a plan follows from beside the project: none when the kind's code can't be told from that
/// of another version.
fn key(target: &TargetSpec, kind: &Kind) -> Option<String> {
    let description = kind.description();
    let all = (
        target,
        kind.identity()?,
        &description.crate_name,
        &description.version,
        INTERFACE_VERSION,
        env!("CARGO_PKG_VERSION"),
    );
    let text = serde_json::to_vec(&all).ok()?;
    Some(digest_bytes(&text).sha256)
}

/// A record as text; none when it would not be the same when read again.
fn text_of(record: &Record) -> Option<Vec<u8>> {
    let body = serde_json::to_vec(record).ok()?;
    let again: Record = serde_json::from_slice(&body).ok()?;
    if again.planned != record.planned || again.dialogue != record.dialogue {
        return None;
    }
    let mut text = format!("{HEADER} {}\n", digest_bytes(&body).sha256).into_bytes();
    text.extend(body);
    Some(text)
}

fn read(text: &[u8]) -> Option<Record> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let (header, body) = (&text[..end], &text[end + 1..]);
    let digest = std::str::from_utf8(header)
        .ok()?
        .strip_prefix(HEADER)?
        .trim();
    if digest_bytes(body).sha256 != digest {
        return None;
    }
    serde_json::from_slice(body).ok()
}
