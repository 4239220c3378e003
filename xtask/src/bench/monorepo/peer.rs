//! The tools beside synth that can be chosen.

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;

use super::contender::Contender;
use super::tools::{git, moon, ninja, task, turborepo};
use super::tree::Tree;

/// A tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Peer {
    /// ninja
    Ninja,
    /// Turborepo
    Turborepo,
    /// moon
    Moon,
    /// Task (go-task)
    Task,
    /// `git status`, which sees that nothing has changed
    Git,
}

impl Peer {
    pub(crate) const ALL: [Self; 5] = [
        Self::Ninja,
        Self::Turborepo,
        Self::Moon,
        Self::Task,
        Self::Git,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ninja => ninja::NAME,
            Self::Turborepo => turborepo::NAME,
            Self::Moon => moon::NAME,
            Self::Task => task::NAME,
            Self::Git => git::NAME,
        }
    }

    /// The largest monorepo that it is measured with: more would take those hours that need a minute
    /// or ten for a thousand targets.
    pub(crate) fn most_targets(self) -> usize {
        match self {
            Self::Ninja | Self::Git => usize::MAX,
            Self::Turborepo | Self::Moon | Self::Task => 1000,
        }
    }

    /// The directory of a tree of its own; none for git, which looks at synth's.
    pub(crate) fn directory(self) -> Option<&'static str> {
        match self {
            Self::Ninja => Some("ninja"),
            Self::Turborepo => Some("turborepo"),
            Self::Moon => Some("moon"),
            Self::Task => Some("task"),
            Self::Git => None,
        }
    }

    /// Whether it asks git what has changed.
    pub(crate) fn asks_git(self) -> bool {
        matches!(self, Self::Turborepo | Self::Moon)
    }

    /// Writes what the tool wants to be told about a tree whose command is `bundle`.
    pub(crate) fn configure(self, tree: &Tree<'_>, bundle: &Path) -> Result<()> {
        match self {
            Self::Ninja => ninja::configure(tree, bundle),
            Self::Turborepo => turborepo::configure(tree, bundle),
            Self::Moon => moon::configure(tree, bundle),
            Self::Task => task::configure(tree, bundle),
            Self::Git => Ok(()),
        }
    }

    pub(crate) fn contender<'a>(
        self,
        tree: &'a Tree<'a>,
        program: &Path,
        jobs: usize,
    ) -> Contender<'a> {
        match self {
            Self::Ninja => ninja::contender(tree, program, jobs),
            Self::Turborepo => turborepo::contender(tree, program, jobs),
            Self::Moon => moon::contender(tree, program, jobs),
            Self::Task => task::contender(tree, program, jobs),
            Self::Git => git::contender(tree),
        }
    }
}
