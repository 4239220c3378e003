//! Targets whose effects are left out: those that may fail and were not built, and those that need
//! them.

use std::borrow::Cow;
use std::collections::BTreeSet;

use synth_core::Diagnostic;

use super::proved;
use crate::config::Pipeline;
use crate::state::State;

/// The pipeline without them, and a word about each.
pub(super) fn leave_out<'a>(
    pipeline: &'a Pipeline,
    state: &State,
) -> (Cow<'a, Pipeline>, Vec<Diagnostic>) {
    let mut out: BTreeSet<&str> = BTreeSet::new();
    let mut told = Vec::new();
    for target in &pipeline.targets {
        let may_fail = pipeline.allows_failure(&target.name);
        if may_fail && proved::find(state.records(), target).is_none() {
            out.insert(&target.name);
            told.push(warning(&target.name, "it was not built, and may fail"));
        }
    }
    if out.is_empty() {
        return (Cow::Borrowed(pipeline), told);
    }
    loop {
        let mut targets = pipeline.targets.iter();
        let next = targets.find_map(|target| {
            let needs = || target.needs.iter().find(|need| out.contains(need.as_str()));
            let needed = (!out.contains(target.name.as_str())).then(needs)??;
            Some((target, needed))
        });
        let Some((target, needed)) = next else { break };
        out.insert(&target.name);
        told.push(warning(&target.name, &format!("it needs `{needed}`")));
    }
    let mut rest = pipeline.clone();
    rest.targets
        .retain(|target| !out.contains(target.name.as_str()));
    (Cow::Owned(rest), told)
}

fn warning(target: &str, why: &str) -> Diagnostic {
    let message = format!("effects of target `{target}` are left out: {why}");
    Diagnostic::warning("effect.left_out", message)
}
