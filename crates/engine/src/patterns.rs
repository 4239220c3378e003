//! Patterns over paths: `*` stays within a component, and a directory means what is below it.

use std::collections::{BTreeMap, HashSet};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use synth_core::PlanError;

/// Patterns, compiled. Most are plain paths, of which thousands cost no more than one.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathPatterns {
    plain: HashSet<String>,
    globs: GlobSet,
}

impl PathPatterns {
    /// Compiles patterns.
    ///
    /// # Errors
    /// The first one that is none.
    pub(crate) fn new(patterns: &[String]) -> Result<Self, PlanError> {
        let wrong = |pattern: &str, error: &globset::Error| PlanError::Pattern {
            pattern: pattern.to_owned(),
            reason: error.kind().to_string(),
        };
        let mut plain = HashSet::new();
        let mut globs = GlobSetBuilder::new();
        for pattern in patterns {
            if let Some(problem) = PlanError::of_long_pattern(pattern) {
                return Err(problem);
            }
            let trimmed = pattern.trim_start_matches("./").trim_end_matches('/');
            if is_plain(trimmed) {
                plain.insert(trimmed.to_owned());
                continue;
            }
            // What ends in `/**` says by itself that it means what is below.
            let below = (!trimmed.ends_with("/**")).then(|| format!("{trimmed}/**"));
            for text in [Some(trimmed.to_owned()), below].into_iter().flatten() {
                let glob = GlobBuilder::new(&text).literal_separator(true).build();
                globs.add(glob.map_err(|error| wrong(pattern, &error))?);
            }
        }
        let globs = globs.build().map_err(|error| wrong("", &error))?;
        Ok(Self { plain, globs })
    }

    /// Whether one of them means a path.
    pub(crate) fn is_match(&self, path: &str) -> bool {
        let is_plain = || {
            let above = path.match_indices('/').map(|(end, _)| &path[..end]);
            above
                .chain([path])
                .any(|prefix| self.plain.contains(prefix))
        };
        (!self.plain.is_empty() && is_plain())
            || (!self.globs.is_empty() && self.globs.is_match(path))
    }
}

/// The directories in which what patterns mean can be: those that their first components name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Everything below may be meant.
    all: bool,
    below: BTreeMap<String, Self>,
}

impl Reach {
    /// So many names are found sooner by reading directories than by asking for each.
    const MOST: usize = 64;

    pub(crate) fn of(patterns: &[String]) -> Self {
        let mut reach = Self {
            all: patterns.len() > Self::MOST,
            ..Self::default()
        };
        for pattern in patterns {
            let trimmed = pattern.trim_start_matches("./").trim_end_matches('/');
            let named = trimmed.split('/').take_while(|name| is_name(name));
            let last = named.fold(&mut reach, |reach, name| {
                reach.below.entry(name.to_owned()).or_default()
            });
            last.all = true;
        }
        reach
    }

    /// Itself, unless everything below may be meant.
    pub(crate) fn narrow(&self) -> Option<&Self> {
        (!self.all).then_some(self)
    }

    /// What may be meant below, by name.
    pub(crate) fn below(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.below
            .iter()
            .map(|(name, reach)| (name.as_str(), reach))
    }
}

/// Whether a component of a pattern is the name of something.
fn is_name(component: &str) -> bool {
    is_plain(component) && !matches!(component, "." | "..")
}

/// Whether a pattern is a path without anything that stands for something else.
fn is_plain(pattern: &str) -> bool {
    !pattern.is_empty() && !pattern.contains(['*', '?', '[', ']', '{', '}', '\\', '!'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_it_names_and_what_is_below() {
        for (pattern, matches, others) in [
            (
                "out",
                vec!["out", "out/a", "out/a/b"],
                vec!["outer", "a/out"],
            ),
            ("./out/", vec!["out", "out/a"], vec![""]),
            ("a/b", vec!["a/b", "a/b/c"], vec!["a", "a/bc"]),
            ("src/**", vec!["src/a", "src/a/b"], vec!["src2/a"]),
            ("*.txt", vec!["a.txt", "a.txt/b"], vec!["a/b.txt"]),
            ("**/*.txt", vec!["a.txt", "a/b.txt"], vec!["a.text"]),
            ("{a,b}", vec!["a", "b/c"], vec!["c"]),
        ] {
            let patterns = PathPatterns::new(&[pattern.to_owned()]).unwrap();
            for path in matches {
                assert!(patterns.is_match(path), "{pattern} {path}");
            }
            for path in others {
                assert!(!patterns.is_match(path), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn a_pattern_that_is_too_long_is_an_error_at_once() {
        let error = PathPatterns::new(&["a".repeat(50_000)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "`{}...` is not a valid pattern: it is longer than 4096 bytes",
                "a".repeat(40)
            )
        );
    }
}
