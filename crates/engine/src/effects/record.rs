//! What a journal says: its records, and how each effect stands after them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};
use synth_core::{Digest, Effect, Presence, ProjectPath, Receipt};

use crate::FailureStrategy;

/// The version of the records. A journal of a later one is refused.
pub(crate) const JOURNAL_VERSION: u32 = 1;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(crate) enum Record {
    /// The first: all that is going to be done.
    Opened(Box<Opened>),
    /// From here on effects are undone.
    TurnedBack,
    /// The effect is about to be applied.
    Applying { effect: usize },
    /// It was.
    Applied { effect: usize, receipt: Receipt },
    /// It was not.
    Failed { effect: usize, message: String },
    /// It was ended before it could say, or what an earlier attempt came to is not known.
    Unclear { effect: usize, message: String },
    /// The effect is about to be undone.
    Undoing { effect: usize },
    /// It was.
    Undone { effect: usize },
    /// It was not, and that is to be tried again.
    UndoFailed { effect: usize, message: String },
    /// It stays: there is no way back.
    Kept { effect: usize, message: String },
    /// Nothing is left to do.
    Closed,
}

/// What is going to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Opened {
    /// [`JOURNAL_VERSION`].
    pub(crate) version: u32,
    /// The name of the build, or of the publish.
    pub(crate) build: String,
    /// The pipeline's.
    pub(crate) pipeline: String,
    /// What happens to the rest when an effect fails.
    pub(crate) strategy: FailureStrategy,
    /// The effects, in the order in which they are applied.
    pub(crate) effects: Vec<Entry>,
    /// What they get, by target.
    pub(crate) exports: BTreeMap<String, Exported>,
}

/// An effect of a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) target: String,
    /// The directory of the target's sources, where processes start.
    pub(crate) source_path: ProjectPath,
    /// The target's kind, and the crate that planned the effect.
    pub(crate) kind: String,
    pub(crate) crate_name: String,
    pub(crate) crate_version: Version,
    pub(crate) effect: Effect,
    /// Those before it that have to be there, all of them, by their places in the list.
    pub(crate) depends: Vec<usize>,
    /// What tells it from another effect of the same name: its definition and the bytes it gets.
    pub(crate) fingerprint: String,
}

/// What a target exports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exported {
    /// Below what the paths of the files are, relative to the project's root.
    pub(crate) place: ProjectPath,
    /// The digest of the tree.
    pub(crate) digest: String,
    /// Files, by path.
    pub(crate) files: BTreeMap<String, ExportedFile>,
    /// Symbolic links with what they say, by path.
    #[serde(default)]
    pub(crate) links: BTreeMap<String, String>,
    /// Directories with nothing in them.
    #[serde(default)]
    pub(crate) directories: Vec<String>,
}

/// A file that a target exports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExportedFile {
    pub(crate) digest: Digest,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) executable: bool,
}

impl Entry {
    /// `site: upload`.
    pub(crate) fn name(&self) -> String {
        format!("{}: {}", self.target, self.effect.id)
    }
}

/// How an effect stands.
///
/// `Pending` -> `Applying` -> `Applied`, `Failed` or `Unclear`; `Failed` and `Unclear` -> `Applying`.
/// From `Applying`, `Unclear` and `Applied` on the way back -> `Undoing` -> `Undone` or `UndoFailed` -> `Undoing`. What can't be
/// undone is `Kept`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Standing {
    #[default]
    Pending,
    /// It was begun, and nobody knows how that ended.
    Applying,
    Applied(Receipt),
    Failed(String),
    /// It was begun and has failed, and part of it may have happened.
    Unclear(String),
    /// To undo it was begun.
    Undoing(Option<Receipt>),
    Undone,
    UndoFailed(Option<Receipt>, String),
    Kept(Option<Receipt>, String),
}

impl Standing {
    /// What it left, if that is known.
    pub(crate) fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Applied(receipt) => Some(receipt),
            Self::Undoing(receipt) | Self::UndoFailed(receipt, _) | Self::Kept(receipt, _) => {
                receipt.as_ref()
            }
            Self::Pending | Self::Applying | Self::Failed(_) | Self::Unclear(_) | Self::Undone => {
                None
            }
        }
    }

    /// Whether this build has changed the world with it, or may have.
    pub(crate) fn may_be_there(&self) -> bool {
        match self {
            Self::Applied(receipt) => !receipt.already_there,
            Self::Applying
            | Self::Unclear(_)
            | Self::Undoing(_)
            | Self::UndoFailed(..)
            | Self::Kept(..) => true,
            Self::Pending | Self::Failed(_) | Self::Undone => false,
        }
    }

    /// Whether this build began it, and nobody knows what that came to.
    pub(crate) fn is_unclear(&self) -> bool {
        matches!(self, Self::Applying | Self::Unclear(_))
    }

    /// Whether to undo it has been tried, or could not be.
    pub(crate) fn is_stuck(&self) -> bool {
        matches!(
            self,
            Self::Undoing(_) | Self::UndoFailed(..) | Self::Kept(..)
        )
    }

    /// As a report says it.
    pub(crate) fn state(&self) -> EffectState {
        match self {
            Self::Pending => EffectState::Pending,
            Self::Applied(receipt) if receipt.already_there => EffectState::AlreadyThere,
            Self::Applied(_) => EffectState::Applied,
            Self::Applying | Self::Failed(_) | Self::Unclear(_) => EffectState::Failed,
            Self::Undone => EffectState::Undone,
            Self::Undoing(_) | Self::UndoFailed(..) | Self::Kept(..) => EffectState::NotUndone,
        }
    }
}

/// What became of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EffectState {
    /// It was not begun.
    Pending,
    /// It has happened.
    Applied,
    /// It had happened before, with the same bytes: nothing was done.
    AlreadyThere,
    /// It failed, or was interrupted.
    Failed,
    /// It was applied, and undone.
    Undone,
    /// It was to be undone, and is still there.
    NotUndone,
}

/// A journal as far as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Story {
    pub(crate) opened: Opened,
    pub(crate) standings: Vec<Standing>,
    /// Whether effects are being undone.
    pub(crate) turned_back: bool,
    pub(crate) closed: bool,
}

/// A record that does not fit to those before it.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum StoryError {
    #[error("its first record does not say what was to be done")]
    Beginning,
    #[error("it is of version {0}, and this synth reads {JOURNAL_VERSION}")]
    Version(u32),
    #[error("record {0} does not follow from those before it")]
    Order(usize),
}

impl Story {
    /// What this build has applied itself, with the receipts.
    pub(crate) fn applied(&self) -> impl Iterator<Item = (&Entry, &Receipt)> {
        let effects = self.opened.effects.iter().zip(&self.standings);
        effects.filter_map(|(entry, standing)| match standing {
            Standing::Applied(receipt) if !receipt.already_there => Some((entry, receipt)),
            _ => None,
        })
    }

    /// Begins with the first record.
    pub(crate) fn new(opened: Opened) -> Result<Self, StoryError> {
        if opened.version != JOURNAL_VERSION {
            return Err(StoryError::Version(opened.version));
        }
        let count = opened.effects.len();
        let before_it = |(index, entry): (usize, &Entry)| entry.depends.iter().all(|d| *d < index);
        if !opened.effects.iter().enumerate().all(before_it) {
            return Err(StoryError::Beginning);
        }
        Ok(Self {
            opened,
            standings: vec![Standing::Pending; count],
            turned_back: false,
            closed: false,
        })
    }

    /// Reads all records.
    pub(crate) fn read(records: Vec<Record>) -> Result<Self, StoryError> {
        let mut records = records.into_iter().enumerate();
        let Some((_, Record::Opened(opened))) = records.next() else {
            return Err(StoryError::Beginning);
        };
        let mut story = Self::new(*opened)?;
        for (number, record) in records {
            story.tell(record).ok_or(StoryError::Order(number + 1))?;
        }
        Ok(story)
    }

    /// The one place where an effect comes to stand in another way. None when the record can't
    /// follow.
    pub(crate) fn tell(&mut self, record: Record) -> Option<()> {
        use Standing as S;
        match record {
            Record::Opened(_) => return None,
            Record::TurnedBack => {
                self.turned_back = true;
                self.closed = false;
            }
            Record::Closed => self.closed = true,
            Record::Applying { effect } => {
                let standing = self.standings.get_mut(effect)?;
                let free = matches!(
                    standing,
                    S::Pending | S::Applying | S::Failed(_) | S::Unclear(_) | S::Undone
                );
                if !free {
                    return None;
                }
                *standing = S::Applying;
            }
            Record::Applied { effect, receipt } => {
                *self.standings.get_mut(effect)? = S::Applied(receipt);
            }
            Record::Failed { effect, message } => {
                *self.standings.get_mut(effect)? = S::Failed(message);
            }
            Record::Unclear { effect, message } => {
                *self.standings.get_mut(effect)? = S::Unclear(message);
            }
            Record::Undoing { effect } => {
                let standing = self.standings.get_mut(effect)?;
                *standing = S::Undoing(standing.receipt().cloned());
            }
            Record::Undone { effect } => *self.standings.get_mut(effect)? = S::Undone,
            Record::UndoFailed { effect, message } => {
                let standing = self.standings.get_mut(effect)?;
                *standing = S::UndoFailed(standing.receipt().cloned(), message);
            }
            Record::Kept { effect, message } => {
                let standing = self.standings.get_mut(effect)?;
                *standing = S::Kept(standing.receipt().cloned(), message);
            }
        }
        Some(())
    }
}

/// A receipt of what was found to be there before anything was done.
pub(crate) fn found(presence: Presence, was_begun: bool) -> Option<Receipt> {
    match presence {
        // This build has begun it itself before it was killed: then it is its own to undo.
        Presence::Present(receipt) if was_begun => Some(receipt),
        Presence::Present(_) => Some(Receipt::already_there()),
        Presence::Absent | Presence::Unknown => None,
    }
}
