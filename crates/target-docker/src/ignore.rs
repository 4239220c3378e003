//! .dockerignore: what is not part of a build context. The last pattern that matches a path or a
//! directory above it decides; `!` takes back in.

use crate::pattern::Pattern;

/// The patterns of an ignore file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    line: u32,
    text: String,
    takes_back: bool,
    pattern: Pattern,
}

/// A pattern of an ignore file that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrongPattern {
    pub(crate) line: u32,
    pub(crate) reason: String,
}

impl Ignore {
    /// Reads an ignore file, with every wrong pattern in it.
    pub(crate) fn parse(text: &str) -> (Self, Vec<WrongPattern>) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut ignore = Self::default();
        let mut wrong = Vec::new();
        for (number, line) in (1_u32..).zip(text.lines()) {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            if let Err(reason) = ignore.add(number, line.trim()) {
                wrong.push(WrongPattern {
                    line: number,
                    reason,
                });
            }
        }
        (ignore, wrong)
    }

    /// The patterns of `--exclude` flags.
    ///
    /// # Errors
    /// What is wrong with the first wrong one.
    pub(crate) fn from_patterns(patterns: &[String]) -> Result<Self, String> {
        let mut ignore = Self::default();
        for pattern in patterns {
            ignore.add(0, pattern)?;
        }
        Ok(ignore)
    }

    fn add(&mut self, line: u32, text: &str) -> Result<(), String> {
        let (takes_back, pattern) = match text.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, text),
        };
        let pattern = clean(pattern);
        if pattern.is_empty() {
            return if takes_back {
                Err("nothing follows `!`".into())
            } else {
                // `.` and `/` name the context itself, which is always there.
                Ok(())
            };
        }
        self.rules.push(Rule {
            line,
            text: text.to_owned(),
            takes_back,
            pattern: Pattern::parse(&pattern, true)?,
        });
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a path is left out.
    pub(crate) fn excludes(&self, path: &str) -> bool {
        self.excluded_by(path).is_some()
    }

    /// The line and the text of the pattern that leaves a path out.
    pub(crate) fn excluded_by(&self, path: &str) -> Option<(u32, &str)> {
        let mut by = None;
        for rule in &self.rules {
            if rule.takes_back == by.is_some()
                && (rule.pattern.matches(path)
                    || parents(path).any(|parent| rule.pattern.matches(parent)))
            {
                by = (!rule.takes_back).then_some((rule.line, rule.text.as_str()));
            }
        }
        by
    }
}

fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(index, _)| &path[..index])
}

/// The pattern as a path in normal form, relative to the context.
fn clean(pattern: &str) -> String {
    let mut components: Vec<&str> = Vec::new();
    for component in pattern.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            name => components.push(name),
        }
    }
    components.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_match_decides() {
        let text = "# note\n*.log\n/build/\n!build/keep.txt\nsecret\n**/*.pyc\n!important.log\n./docs/../tmp\n";
        let (ignore, wrong) = Ignore::parse(text);
        assert_eq!(wrong, []);
        for (path, excluded) in [
            ("a.log", true),
            ("d/a.log", false),
            ("important.log", false),
            ("build", true),
            ("build/x/y", true),
            ("build/keep.txt", false),
            ("builds", false),
            ("secret/deep/x", true),
            ("d/secret", false),
            ("x.pyc", true),
            ("a/b/x.pyc", true),
            ("tmp/x", true),
            ("docs/x", false),
        ] {
            assert_eq!(ignore.excludes(path), excluded, "{path}");
        }
        assert_eq!(ignore.excluded_by("build/x"), Some((3, "/build/")));
    }

    #[test]
    fn wrong_patterns_are_named_by_line() {
        let (_, wrong) = Ignore::parse("a\n[b\n!\n");
        let lines: Vec<u32> = wrong.iter().map(|wrong| wrong.line).collect();
        assert_eq!(lines, [2, 3]);
    }
}
