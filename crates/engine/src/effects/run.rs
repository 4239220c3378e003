//! Applies the effects of a journal one after the other, and undoes them: the order, what a failure
//! means, and what is written before and after each. What an effect is done by is a [`Hand`].

use std::collections::BTreeSet;

use synth_core::{Diagnostic, Presence, Receipt};

use super::journal::Journal;
use super::record::{Entry, Record, Standing, found};
use crate::FailureStrategy;

/// Does what is asked for.
pub(crate) trait Hand {
    /// Whether an effect has happened, with the same bytes.
    fn check(&mut self, entry: &Entry) -> Result<Presence, Stopped>;
    /// Whether an earlier build has applied this very effect last, where nothing else tells.
    fn was_applied_before(&mut self, entry: &Entry) -> bool;
    fn apply(&mut self, entry: &Entry) -> Result<Receipt, Stopped>;
    /// Whether an attempt, counted from 1, has failed in a way that passes by itself: waits until it is
    /// time for another one.
    fn again(&mut self, entry: &Entry, attempt: u32, problems: &[Diagnostic]) -> bool;
    fn undo(&mut self, entry: &Entry, receipt: Option<&Receipt>) -> Result<(), Stopped>;
    /// Why an effect can't be undone at the moment: the plugin that applied it is gone.
    fn missing(&mut self, entry: &Entry) -> Option<Diagnostic>;
    /// Is told when everything that was asked for is there: an effect that this build has applied.
    fn settled(&mut self, entry: &Entry, receipt: &Receipt);
    /// Says what is being done.
    fn tell(&mut self, doing: Doing, entry: &Entry);
}

/// What is being done with an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It is applied.
    Applying,
    /// To apply it has failed, for a reason that passes by itself: it is tried again.
    WaitingToApply,
    /// It is there already.
    AlreadyThere,
    /// It is undone.
    Undoing,
}

/// Why an effect was not carried out.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// It failed, and has left nothing.
    Failed(Vec<Diagnostic>),
    /// It was ended before it could clear up after itself: it may have left something.
    Unclear(Vec<Diagnostic>),
    /// The user ended it: nobody knows how far it came.
    Interrupted,
}

/// Applies what was not yet applied. On failure it does what the strategy says. The journal is
/// closed, unless something in it is still to be done by `synth recover`. Gives what is to be said:
/// an error when not everything that was asked for has come about.
pub(crate) fn apply_all(journal: &mut Journal, hand: &mut dyn Hand) -> Vec<Diagnostic> {
    let strategy = journal.story().opened.strategy;
    let mut said = Vec::new();
    for index in 0..journal.story().standings.len() {
        let Some((entry, standing)) = look(journal, index) else {
            break;
        };
        if matches!(standing, Standing::Applied(_)) {
            continue;
        }
        let applied = |d: &usize| {
            matches!(
                journal.story().standings.get(*d),
                Some(Standing::Applied(_))
            )
        };
        if !entry.depends.iter().all(applied) {
            continue;
        }
        match apply_one(journal, hand, index, &entry, standing.is_unclear()) {
            Ok(None) => {}
            Ok(Some(problems)) => {
                said.extend(problems);
                match strategy {
                    FailureStrategy::Continue => {}
                    FailureStrategy::StopAll => break,
                    FailureStrategy::Rollback => {
                        said.extend(undo_all(journal, hand, Remaining::Told));
                        return said;
                    }
                }
            }
            Err(Halt::Interrupted) => {
                close_untouched(journal);
                return said;
            }
            Err(Halt::Journal(problem)) => {
                said.push(problem);
                return said;
            }
        }
    }
    if journal.story().standings.iter().any(Standing::is_unclear) {
        // To be finished or undone: neither is known to have happened.
        return said;
    }
    close(journal, &mut said);
    if said.is_empty() {
        for (entry, standing) in journal.story().applied() {
            hand.settled(entry, standing);
        }
    }
    said
}

/// Closes a journal of which nothing has been begun.
fn close_untouched(journal: &mut Journal) {
    let mut standings = journal.story().standings.iter();
    if standings.all(|standing| *standing == Standing::Pending) {
        // One that stays open says just that.
        let _ = journal.write(Record::Closed);
    }
}

/// Why it can't go on.
enum Halt {
    Interrupted,
    Journal(Diagnostic),
}

impl From<Diagnostic> for Halt {
    fn from(problem: Diagnostic) -> Self {
        Self::Journal(problem)
    }
}

/// Applies an effect unless it is there; gives why that failed, if it did.
fn apply_one(
    journal: &mut Journal,
    hand: &mut dyn Hand,
    effect: usize,
    entry: &Entry,
    was_begun: bool,
) -> Result<Option<Vec<Diagnostic>>, Halt> {
    let presence = match hand.check(entry) {
        Ok(presence) => presence,
        Err(stopped) => return failed(journal, effect, stopped, was_begun),
    };
    let known = presence != Presence::Unknown;
    let mut receipt = found(presence, was_begun);
    if receipt.is_none() && !known && !was_begun && hand.was_applied_before(entry) {
        receipt = Some(Receipt::already_there());
    }
    if let Some(receipt) = receipt {
        hand.tell(Doing::AlreadyThere, entry);
        journal.write(Record::Applied { effect, receipt })?;
        return Ok(None);
    }
    journal.write(Record::Applying { effect })?;
    hand.tell(Doing::Applying, entry);
    let mut attempt = 1;
    let applied = loop {
        match hand.apply(entry) {
            Err(Stopped::Failed(problems)) if hand.again(entry, attempt, &problems) => attempt += 1,
            applied => break applied,
        }
    };
    match applied {
        Ok(receipt) => {
            journal.write(Record::Applied { effect, receipt })?;
            Ok(None)
        }
        Err(stopped) => failed(journal, effect, stopped, was_begun),
    }
}

/// Notes a failure. What an attempt came to that was killed is not known by the failure of another.
fn failed(
    journal: &mut Journal,
    effect: usize,
    stopped: Stopped,
    was_begun: bool,
) -> Result<Option<Vec<Diagnostic>>, Halt> {
    let (problems, unclear) = match stopped {
        Stopped::Failed(problems) => (problems, was_begun),
        Stopped::Unclear(problems) => (problems, true),
        Stopped::Interrupted => return Err(Halt::Interrupted),
    };
    let message = message(&problems);
    journal.write(match unclear {
        true => Record::Unclear { effect, message },
        false => Record::Failed { effect, message },
    })?;
    Ok(Some(problems))
}

/// What becomes of effects that can't be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remaining {
    /// The journal stays open for those of which it can be tried again.
    Told,
    /// The user has undone by hand those of which it was tried, or could not be; the rest is undone.
    ByHand,
}

/// Undoes what was applied, the last first. One that fails stops it. What can't be undone at all
/// stays, and with it what it came after.
pub(crate) fn undo_all(
    journal: &mut Journal,
    hand: &mut dyn Hand,
    remaining: Remaining,
) -> Vec<Diagnostic> {
    let turned_back = journal.story().turned_back && !journal.story().closed;
    if !turned_back && let Err(problem) = journal.write(Record::TurnedBack) {
        return vec![problem];
    }
    let mut said = Vec::new();
    let mut needed = BTreeSet::new();
    let mut waits = false;
    for effect in (0..journal.story().standings.len()).rev() {
        let Some((entry, standing)) = look(journal, effect) else {
            break;
        };
        if needed.contains(&effect) {
            needed.extend(entry.depends.iter().copied());
        }
        if !standing.may_be_there() {
            continue;
        }
        let by_hand = remaining == Remaining::ByHand && standing.is_stuck();
        let stays = match by_hand {
            true => None,
            false => obstacle(hand, &entry, needed.contains(&effect)),
        };
        let written = match stays {
            Some(obstacle) => {
                needed.extend(entry.depends.iter().copied());
                waits |= obstacle.may_pass;
                let message = obstacle.problem.message.clone();
                said.push(obstacle.problem);
                journal.write(Record::Kept { effect, message })
            }
            None if by_hand => journal.write(Record::Undone { effect }),
            None => match undo_one(journal, hand, effect, &entry, &standing) {
                Ok(None) => Ok(()),
                Ok(Some(problems)) => {
                    said.extend(problems);
                    return said;
                }
                Err(Halt::Interrupted) => return said,
                Err(Halt::Journal(problem)) => Err(problem),
            },
        };
        if let Err(problem) = written {
            said.push(problem);
            return said;
        }
    }
    if !waits {
        close(journal, &mut said);
    }
    said
}

/// Why an effect stays.
struct Obstacle {
    problem: Diagnostic,
    /// Whether it can be undone later.
    may_pass: bool,
}

fn obstacle(hand: &mut dyn Hand, entry: &Entry, is_needed: bool) -> Option<Obstacle> {
    let name = entry.name();
    if !entry.effect.is_reversible() {
        let problem = Diagnostic::error(
            "effect.irreversible",
            format!("`{name}` can't be undone: it is irreversible"),
        );
        return Some(Obstacle {
            problem: problem.help(format!(
                "see to it by hand, if need be: {}",
                entry.effect.description
            )),
            may_pass: false,
        });
    }
    if let Some(problem) = hand.missing(entry) {
        return Some(Obstacle {
            problem,
            may_pass: true,
        });
    }
    let stays = || Obstacle {
        problem: Diagnostic::error(
            "effect.needed",
            format!("`{name}` was not undone: an effect that came after it is still there"),
        )
        .help("undo that one by hand first, then this one"),
        may_pass: false,
    };
    is_needed.then(stays)
}

fn undo_one(
    journal: &mut Journal,
    hand: &mut dyn Hand,
    effect: usize,
    entry: &Entry,
    standing: &Standing,
) -> Result<Option<Vec<Diagnostic>>, Halt> {
    journal.write(Record::Undoing { effect })?;
    hand.tell(Doing::Undoing, entry);
    match hand.undo(entry, standing.receipt()) {
        Ok(()) => {
            journal.write(Record::Undone { effect })?;
            Ok(None)
        }
        Err(Stopped::Interrupted) => Err(Halt::Interrupted),
        Err(Stopped::Failed(problems) | Stopped::Unclear(problems)) => {
            let message = message(&problems);
            journal.write(Record::UndoFailed { effect, message })?;
            Ok(Some(problems))
        }
    }
}

/// An effect and how it stands.
fn look(journal: &Journal, effect: usize) -> Option<(Entry, Standing)> {
    let story = journal.story();
    let entry = story.opened.effects.get(effect)?.clone();
    Some((entry, story.standings.get(effect)?.clone()))
}

fn close(journal: &mut Journal, said: &mut Vec<Diagnostic>) {
    said.extend(journal.write(Record::Closed).err());
}

/// What a record says of a failure.
fn message(problems: &[Diagnostic]) -> String {
    /// Part of the room that is kept for each effect.
    const MOST_CHARACTERS: usize = 2000;
    let messages: Vec<&str> = problems.iter().map(|p| p.message.as_str()).collect();
    messages.join("; ").chars().take(MOST_CHARACTERS).collect()
}

#[cfg(test)]
mod tests;
