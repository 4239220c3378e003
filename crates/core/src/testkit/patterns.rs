//! Patterns as the engine reads them: `*` stays within a component, and a directory means what is
//! below it.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::PlanError;

/// Patterns, compiled together.
pub(super) fn glob_set(patterns: &[String]) -> Result<GlobSet, PlanError> {
    let wrong = |pattern: &str, error: &globset::Error| PlanError::Pattern {
        pattern: pattern.to_owned(),
        reason: error.kind().to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let trimmed = pattern.trim_start_matches("./").trim_end_matches('/');
        for text in [trimmed.to_owned(), format!("{trimmed}/**")] {
            let glob = GlobBuilder::new(&text).literal_separator(true).build();
            set.add(glob.map_err(|error| wrong(pattern, &error))?);
        }
    }
    set.build().map_err(|error| wrong("", &error))
}
