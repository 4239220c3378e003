//! The order of effects: each after those that it needs, and what can't be undone as late as that
//! allows.

use std::collections::BTreeSet;

use synth_core::EffectPhase;

/// An effect, for the order.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// Those that have to be there before, by place in the list.
    pub(crate) before: Vec<usize>,
    pub(crate) phase: EffectPhase,
    pub(crate) reversible: bool,
}

/// The places of the list in the order in which they are applied; the error is one that waits for
/// itself. Of those that can begin, what can be undone goes first, then what is published, then in
/// the order of the list.
pub(crate) fn ordered(effects: &[Waiting]) -> Result<Vec<usize>, usize> {
    let mut order = Vec::with_capacity(effects.len());
    let mut done = BTreeSet::new();
    while order.len() < effects.len() {
        let open = effects
            .iter()
            .enumerate()
            .filter(|(i, _)| !done.contains(i));
        let ready = open
            .clone()
            .filter(|(_, effect)| effect.before.iter().all(|before| done.contains(before)));
        let next = ready.min_by_key(|(i, effect)| (!effect.reversible, effect.phase, *i));
        let Some((next, _)) = next else {
            let mut open = open;
            return Err(open.next().map_or(0, |(index, _)| index));
        };
        done.insert(next);
        order.push(next);
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use EffectPhase::{Deploy, Publish};

    fn effect(before: &[usize], phase: EffectPhase, reversible: bool) -> Waiting {
        Waiting {
            before: before.to_vec(),
            phase,
            reversible,
        }
    }

    #[test]
    fn what_is_needed_comes_before_and_what_is_irreversible_last() {
        for (effects, order) in [
            (vec![], Ok(vec![])),
            (
                vec![
                    effect(&[], Publish, false),
                    effect(&[], Deploy, true),
                    effect(&[], Publish, true),
                ],
                Ok(vec![2, 1, 0]),
            ),
            (
                vec![effect(&[1], Publish, true), effect(&[], Publish, false)],
                Ok(vec![1, 0]),
            ),
            (
                vec![effect(&[], Publish, true), effect(&[1], Publish, true)],
                Err(1),
            ),
            (
                vec![effect(&[1], Publish, true), effect(&[0], Publish, true)],
                Err(0),
            ),
        ] {
            assert_eq!(ordered(&effects), order, "{effects:?}");
        }
    }
}
