//! The target kinds that a build knows, by the name that `type` uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use synth_core::{BuildTarget, TargetDescription};

/// The kinds known.
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<String, Kind>,
}

#[derive(Clone)]
struct Kind {
    target: Arc<dyn BuildTarget>,
    description: TargetDescription,
}

impl Registry {
    /// No kinds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind; one of the same name is replaced.
    #[must_use]
    pub fn with(mut self, target: Arc<dyn BuildTarget>) -> Self {
        let description = target.describe();
        let kind = Kind {
            target,
            description: description.clone(),
        };
        self.kinds.insert(description.kind, kind);
        self
    }

    /// The names, sorted.
    #[must_use]
    pub fn kinds(&self) -> Vec<&str> {
        self.kinds.keys().map(String::as_str).collect()
    }

    /// What the kinds say of themselves, sorted by name.
    pub fn descriptions(&self) -> impl Iterator<Item = &TargetDescription> {
        self.kinds.values().map(|kind| &kind.description)
    }

    /// What a kind says of itself.
    #[must_use]
    pub fn description(&self, kind: &str) -> Option<&TargetDescription> {
        self.kinds.get(kind).map(|kind| &kind.description)
    }

    /// A kind.
    #[must_use]
    pub fn target(&self, kind: &str) -> Option<&Arc<dyn BuildTarget>> {
        self.kinds.get(kind).map(|kind| &kind.target)
    }
}
