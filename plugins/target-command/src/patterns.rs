//! Globs over the files below the source directory: what is wrong with one, and what they match.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use synth_core::Diagnostic;

/// Names that belong to version control and to synth: neither read nor left.
const RESERVED: [&str; 5] = [".git", ".hg", ".svn", ".jj", ".synth"];

/// The longest path of Linux has 4096 bytes; to compile much longer patterns takes seconds.
const MOST_BYTES: usize = 1024;

/// More characters of one are not shown.
const MOST_SHOWN: usize = 80;

/// What is wrong with the patterns of a setting.
pub(crate) fn check(setting: &str, patterns: &[String]) -> Vec<Diagnostic> {
    let problems = patterns.iter().enumerate().filter_map(|(index, pattern)| {
        let (problem, help) = problem(pattern)?;
        let shown: String = pattern.chars().take(MOST_SHOWN).collect();
        let message = format!("`{}` of `{setting}` {problem}", shown.escape_debug());
        let place = [setting.to_owned(), index.to_string()];
        Some(
            Diagnostic::error("command.pattern", message)
                .at_setting(place)
                .help(help),
        )
    });
    problems.collect()
}

fn problem(pattern: &str) -> Option<(String, &'static str)> {
    const RELATIVE: &str =
        "patterns are relative to `source_path` and stay below it, such as `dist/**`";
    let told = |problem: &str, help| Some((problem.to_owned(), help));
    if normal(pattern).is_empty() {
        return told("names the source directory itself", RELATIVE);
    }
    if pattern.len() > MOST_BYTES {
        const SEVERAL: &str = "name a directory, or write several patterns";
        return Some((format!("is longer than {MOST_BYTES} bytes"), SEVERAL));
    }
    if pattern.contains('\0') {
        return told("holds a NUL character", RELATIVE);
    }
    if pattern.starts_with('/') {
        return told("is an absolute path", RELATIVE);
    }
    if pattern.starts_with("~/") {
        return told("begins with `~`, which only a shell understands", RELATIVE);
    }
    if let Some(rest) = pattern.strip_prefix('!') {
        const EXCLUDE: &str = "patterns that take files away belong into `exclude`";
        if !rest.is_empty() {
            return told("begins with `!`", EXCLUDE);
        }
    }
    if pattern.split('/').any(|component| component == "..") {
        return told("leads out of the source directory", RELATIVE);
    }
    if pattern.split('/').any(|name| RESERVED.contains(&name)) {
        const NEVER: &str = "data of version control and of synth is neither input nor output";
        return told("names what is never a source", NEVER);
    }
    if let Err(error) = set(&[pattern.to_owned()]) {
        const GLOB: &str =
            "`*` and `?` stay within a name, `**` spans directories, `{a,b}` and `[a-z]` choose";
        return Some((format!("is no pattern: {}", error.kind()), GLOB));
    }
    None
}

/// A pattern without what does not change its meaning.
pub(crate) fn normal(pattern: &str) -> &str {
    let mut normal = pattern;
    loop {
        let shorter = normal
            .trim_start_matches("./")
            .trim_end_matches('/')
            .trim_end_matches("/.")
            .trim_end_matches("/**");
        let shorter = if shorter == "." { "" } else { shorter };
        if shorter == normal {
            return normal;
        }
        normal = shorter;
    }
}

/// Globs as synth reads them: `*` stays within a name, and a directory means what is below it.
pub(crate) fn set(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
        for text in [pattern.to_owned(), format!("{pattern}/**")] {
            set.add(GlobBuilder::new(&text).literal_separator(true).build()?);
        }
    }
    set.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_mean_the_same_have_one_form() {
        for (pattern, expected) in [
            ("dist", "dist"),
            ("./dist/", "dist"),
            ("dist/**", "dist"),
            ("dist/**/", "dist"),
            ("**/*.o", "**/*.o"),
            (".", ""),
            ("./", ""),
            ("", ""),
            ("/", ""),
        ] {
            assert_eq!(normal(pattern), expected, "{pattern:?}");
        }
    }
}
