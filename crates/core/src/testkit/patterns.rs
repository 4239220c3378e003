//! Patterns as the engine reads them: `*` stays within a component, and a directory means what is
//! below it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::PlanError;

/// Patterns, compiled together.
pub(super) fn glob_set(patterns: &[String]) -> Result<GlobSet, PlanError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        for glob in globs(pattern)? {
            set.add(glob);
        }
    }
    set.build().map_err(|error| wrong("", &error))
}

/// The first of some patterns that is none, without compiling them.
pub(super) fn fault(patterns: &[String]) -> Option<PlanError> {
    patterns.iter().find_map(|pattern| globs(pattern).err())
}

fn globs(pattern: &str) -> Result<[Glob; 2], PlanError> {
    if let Some(problem) = PlanError::of_long_pattern(pattern) {
        return Err(problem);
    }
    let trimmed = pattern.trim_start_matches("./").trim_end_matches('/');
    let glob = |text: &str| {
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        glob.map_err(|error| wrong(pattern, &error))
    };
    Ok([glob(trimmed)?, glob(&format!("{trimmed}/**"))?])
}

fn wrong(pattern: &str, error: &globset::Error) -> PlanError {
    PlanError::Pattern {
        pattern: pattern.to_owned(),
        reason: error.kind().to_string(),
    }
}

/// Compiled patterns by what they were compiled from: a kind asks with the same ones again and
/// again, and compiling takes longer than matching.
#[derive(Default)]
pub(super) struct Compiled(Mutex<HashMap<Vec<String>, Arc<GlobSet>>>);

impl Compiled {
    pub(super) fn get(&self, patterns: &[String]) -> Result<Arc<GlobSet>, PlanError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = known.get(patterns) {
            return Ok(Arc::clone(set));
        }
        let set = Arc::new(glob_set(patterns)?);
        known.insert(patterns.to_owned(), Arc::clone(&set));
        Ok(set)
    }
}
