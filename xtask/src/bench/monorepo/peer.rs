//! The tools beside synth that can be chosen.

use clap::ValueEnum;

use super::tools::{git, ninja};

/// A tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Peer {
    /// ninja
    Ninja,
    /// What `git status` takes
    Git,
}

impl Peer {
    pub(crate) const ALL: [Self; 2] = [Self::Ninja, Self::Git];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ninja => ninja::NAME,
            Self::Git => git::NAME,
        }
    }

    /// The largest monorepo that it is measured with.
    pub(crate) fn most_targets(self) -> usize {
        match self {
            Self::Ninja | Self::Git => usize::MAX,
        }
    }
}
