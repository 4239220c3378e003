//! Patterns over paths: those of `COPY` sources (Go's `filepath.Match`, where nothing matches
//! across `/`) and those of .dockerignore (the same with `**`).

/// A pattern over a path with `/` between components.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    tokens: Vec<Token>,
}

#[derive(Clone, Debug)]
enum Token {
    Literal(char),
    /// `?`: one character, not `/`.
    One,
    /// `*`: any characters, not `/`.
    Any,
    /// `**`: any characters.
    AnyDepth,
    /// `**/`: any directories, also none.
    AnyDirectories,
    /// `[a-z]`, `[^a-z]`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    /// Reads a pattern; `**` spans components when `deep`, and is two `*` otherwise.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str, deep: bool) -> Result<Self, String> {
        let mut characters = text.chars().peekable();
        let mut tokens = Vec::new();
        while let Some(character) = characters.next() {
            tokens.push(match character {
                '*' if deep && characters.next_if_eq(&'*').is_some() => {
                    if characters.next_if_eq(&'/').is_some() {
                        Token::AnyDirectories
                    } else {
                        Token::AnyDepth
                    }
                }
                '*' => Token::Any,
                '?' => Token::One,
                '[' => class(&mut characters)?,
                '\\' => Token::Literal(characters.next().ok_or("nothing follows the last `\\`")?),
                literal => Token::Literal(literal),
            });
        }
        Ok(Self { tokens })
    }

    /// Whether the whole path matches.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        matches(&self.tokens, &path)
    }
}

/// Whether a text is more than a path: it has characters that patterns give a meaning.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The directories at the front of a pattern that hold no wildcard, and the rest.
pub(crate) fn literal_prefix(pattern: &str) -> (String, String) {
    let components: Vec<&str> = pattern.split('/').collect();
    let literal = components
        .iter()
        .take_while(|component| !is_pattern(component))
        .count()
        .min(components.len().saturating_sub(1));
    let (prefix, rest) = components.split_at(literal);
    (unescape(&prefix.join("/")), rest.join("/"))
}

/// The path that a text without wildcards means: escapes taken off.
pub(crate) fn unescape(text: &str) -> String {
    let mut output = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\\' {
            output.extend(characters.next());
        } else {
            output.push(character);
        }
    }
    output
}

fn class(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, String> {
    const OPEN: &str = "`[` has no closing `]`";
    let negated = characters.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let one = |characters: &mut std::iter::Peekable<std::str::Chars<'_>>| match characters
        .next()
        .ok_or(OPEN)?
    {
        '\\' => characters.next().ok_or(OPEN),
        other => Ok(other),
    };
    loop {
        if !ranges.is_empty() && characters.next_if_eq(&']').is_some() {
            return Ok(Token::Class { negated, ranges });
        }
        let low = one(characters)?;
        let high = if characters.next_if_eq(&'-').is_some() {
            one(characters)?
        } else {
            low
        };
        if low > high {
            return Err(format!("the range `{low}-{high}` is empty"));
        }
        ranges.push((low, high));
    }
}

/// Follows all ways through the pattern at once, so that no pattern takes long: after each token,
/// the places in the path that can have been reached.
fn matches(tokens: &[Token], path: &[char]) -> bool {
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for token in tokens {
        let mut next = vec![false; path.len() + 1];
        for at in (0..=path.len()).filter(|at| reached[*at]) {
            let rest = &path[at..];
            match token {
                Token::Any => {
                    let end = rest.iter().position(|c| *c == '/').unwrap_or(rest.len());
                    next[at..=at + end].fill(true);
                }
                Token::AnyDepth => next[at..].fill(true),
                Token::AnyDirectories => {
                    next[at] = true;
                    for (index, _) in rest.iter().enumerate().filter(|(_, c)| **c == '/') {
                        next[at + index + 1] = true;
                    }
                }
                one => {
                    if rest.first().is_some_and(|character| one.is(*character)) {
                        next[at + 1] = true;
                    }
                }
            }
        }
        reached = next;
    }
    reached[path.len()]
}

impl Token {
    /// Whether a token that stands for one character stands for this one.
    fn is(&self, character: char) -> bool {
        match self {
            Self::Literal(own) => *own == character,
            Self::One => character != '/',
            Self::Class { negated, ranges } => {
                let within = ranges
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&character));
                character != '/' && within != *negated
            }
            Self::Any | Self::AnyDepth | Self::AnyDirectories => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stay_within_a_component() {
        for (pattern, path, expected) in [
            ("*.txt", "a.txt", true),
            ("*.txt", "d/a.txt", false),
            ("d/*", "d/a.txt", true),
            ("d/*", "d/e/a.txt", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[]a]x", "]x", true),
            ("\\*x", "*x", true),
            ("\\*x", "ax", false),
            ("**/x", "a/x", true),
            ("**/x", "a/b/x", false),
            ("", "", true),
        ] {
            let found = Pattern::parse(pattern, false).unwrap().matches(path);
            assert_eq!(found, expected, "{pattern} {path}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = Pattern::parse(&format!("{}b", "*a".repeat(30)), false).unwrap();
        assert!(!pattern.matches(&"a".repeat(200)));
        assert!(pattern.matches(&("a".repeat(200) + "b")));
    }

    #[test]
    fn two_stars_span_components() {
        for (pattern, path, expected) in [
            ("**/x", "x", true),
            ("**/x", "a/b/x", true),
            ("**/x", "a/bx", false),
            ("a/**", "a/b/c", true),
            ("a/**", "b/c", false),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("**.go", "a/b.go", true),
        ] {
            let found = Pattern::parse(pattern, true).unwrap().matches(path);
            assert_eq!(found, expected, "{pattern} {path}");
        }
    }

    #[test]
    fn patterns_begin_with_what_is_literal() {
        for (pattern, prefix, rest) in [
            ("a/b/*.c", "a/b", "*.c"),
            ("*.c", "", "*.c"),
            ("a/*/c", "a", "*/c"),
            ("a/b", "a", "b"),
        ] {
            assert_eq!(literal_prefix(pattern), (prefix.into(), rest.into()));
        }
    }

    #[test]
    fn broken_patterns() {
        for pattern in ["[a", "[", "a\\", "[z-a]"] {
            assert!(Pattern::parse(pattern, false).is_err(), "{pattern}");
        }
    }
}
