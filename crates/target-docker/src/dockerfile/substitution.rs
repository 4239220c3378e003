//! `$NAME`, `${NAME:-word}` and their relatives, quotes and escapes: from a word as written to
//! the word as meant. The rules are those of Docker's reference, "Environment replacement".

use std::collections::BTreeSet;

/// Finds variables.
pub(crate) trait Variables {
    /// The value of a variable; none when it is not set.
    fn value(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Variables for F {
    fn value(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// A text with its variables replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expanded {
    /// The text as one word.
    pub(crate) text: String,
    /// The text split at the white space that was outside quotes.
    pub(crate) words: Vec<String>,
    /// Variables it mentions that are not set and for which it gives no other value.
    pub(crate) undefined: BTreeSet<String>,
}

/// Replaces variables and takes quotes and escapes off.
///
/// # Errors
/// What is wrong with the text, for a person.
pub(crate) fn expand(
    text: &str,
    variables: &dyn Variables,
    escape: char,
) -> Result<Expanded, String> {
    expand_with(text, variables, escape, true)
}

/// Replaces variables and leaves everything else as it is: for here-documents.
///
/// # Errors
/// As [`expand`].
pub(crate) fn expand_only(
    text: &str,
    variables: &dyn Variables,
    escape: char,
) -> Result<Expanded, String> {
    expand_with(text, variables, escape, false)
}

/// How deep `${A:-${B:-..}}` may be nested; each level takes some of the stack.
const MOST_NESTED: usize = 100;

fn expand_with(
    text: &str,
    variables: &dyn Variables,
    escape: char,
    quotes: bool,
) -> Result<Expanded, String> {
    let mut expander = Expander {
        rest: text,
        variables,
        escape,
        quotes,
        undefined: BTreeSet::new(),
        nested: 0,
    };
    let mut output = Output::default();
    expander.until(None, &mut output)?;
    output.end_word();
    Ok(Expanded {
        text: output.text,
        words: output.words,
        undefined: expander.undefined,
    })
}

#[derive(Default)]
struct Output {
    text: String,
    words: Vec<String>,
    word: Option<String>,
}

impl Output {
    fn literal(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.get_or_insert_default().push_str(text);
    }

    /// Text that was not quoted: its white space parts words.
    fn unquoted(&mut self, text: &str) {
        for character in text.chars() {
            if character.is_whitespace() {
                self.space(character);
            } else {
                self.character(character);
            }
        }
    }

    fn character(&mut self, character: char) {
        self.literal(character.encode_utf8(&mut [0; 4]));
    }

    fn space(&mut self, character: char) {
        self.text.push(character);
        self.end_word();
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }
}

struct Expander<'a> {
    rest: &'a str,
    variables: &'a dyn Variables,
    escape: char,
    quotes: bool,
    undefined: BTreeSet<String>,
    nested: usize,
}

impl Expander<'_> {
    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = self.rest.get(character.len_utf8()..).unwrap_or("");
        Some(character)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Reads to the end, or to an unquoted `end`, which is taken too.
    fn until(&mut self, end: Option<char>, output: &mut Output) -> Result<(), String> {
        while let Some(character) = self.next() {
            if Some(character) == end {
                return Ok(());
            }
            match character {
                '\'' if self.quotes => self.single_quoted(output)?,
                '"' if self.quotes => self.double_quoted(output)?,
                '$' => {
                    let value = self.dollar()?;
                    output.unquoted(&value);
                }
                escape if escape == self.escape => self.escaped(output),
                space if space.is_whitespace() => output.space(space),
                other => output.character(other),
            }
        }
        match end {
            Some(end) => Err(format!("`{end}` is missing")),
            None => Ok(()),
        }
    }

    fn escaped(&mut self, output: &mut Output) {
        match self.peek() {
            // In a here-document only `\$` and the like are escapes.
            Some(next) if self.quotes || next == '$' || next == self.escape => {
                self.next();
                output.character(next);
            }
            _ if self.quotes => {}
            _ => output.character(self.escape),
        }
    }

    fn single_quoted(&mut self, output: &mut Output) -> Result<(), String> {
        let Some((inner, rest)) = self.rest.split_once('\'') else {
            return Err("a closing ' is missing".into());
        };
        output.literal(inner);
        self.rest = rest;
        Ok(())
    }

    fn double_quoted(&mut self, output: &mut Output) -> Result<(), String> {
        output.literal("");
        while let Some(character) = self.next() {
            match character {
                '"' => return Ok(()),
                '$' => {
                    let value = self.dollar()?;
                    output.literal(&value);
                }
                escape if escape == self.escape => match self.peek() {
                    Some(next) if matches!(next, '"' | '$') || next == self.escape => {
                        self.next();
                        output.character(next);
                    }
                    _ => output.character(escape),
                },
                other => output.character(other),
            }
        }
        Err("a closing \" is missing".into())
    }

    fn dollar(&mut self) -> Result<String, String> {
        if self.peek() != Some('{') {
            let name = self.name();
            return Ok(if name.is_empty() {
                "$".to_owned()
            } else {
                self.value_or_undefined(&name)
            });
        }
        self.next();
        let name = self.name();
        if name.is_empty() {
            return Err("`${` is not followed by a variable's name".into());
        }
        if self.nested == MOST_NESTED {
            return Err(format!(
                "`${{{name}` is nested deeper than {MOST_NESTED} levels"
            ));
        }
        self.nested += 1;
        let value = self.braced(&name);
        self.nested -= 1;
        value
    }

    /// The rest of `${name...}`.
    fn braced(&mut self, name: &str) -> Result<String, String> {
        let set = self.variables.value(name);
        match self.next() {
            Some('}') => Ok(self.value_or_undefined(name)),
            Some(':') => {
                let operator = self.next();
                self.alternative(name, set.filter(|value| !value.is_empty()), operator)
            }
            Some(operator @ ('-' | '+' | '?')) => self.alternative(name, set, Some(operator)),
            Some(operator @ ('#' | '%')) => {
                let longest = self.peek() == Some(operator);
                if longest {
                    self.next();
                }
                let pattern = self.word('}')?;
                let value = self.value_or_undefined(name);
                Ok(if operator == '#' {
                    without_prefix(&value, &pattern, longest)
                } else {
                    without_suffix(&value, &pattern, longest)
                })
            }
            Some('/') => {
                let all = self.peek() == Some('/');
                if all {
                    self.next();
                }
                let pattern = self.word('/')?;
                let replacement = self.word('}')?;
                let value = self.value_or_undefined(name);
                Ok(replace(&value, &pattern, &replacement, all))
            }
            Some(other) => Err(format!("`{other}` after `${{{name}` means nothing")),
            None => Err(format!("`${{{name}` has no closing `}}`")),
        }
    }

    fn alternative(
        &mut self,
        name: &str,
        value: Option<String>,
        operator: Option<char>,
    ) -> Result<String, String> {
        let before = self.undefined.clone();
        let word = self.word('}').map_err(|reason| match reason.as_str() {
            "`}` is missing" => format!("`${{{name}` has no closing `}}`"),
            _ => reason,
        })?;
        if operator == Some('-') && value.is_some() {
            // A default that is not taken needs no variables.
            self.undefined = before;
        }
        match (operator, value) {
            (Some('-'), value) => Ok(value.unwrap_or(word)),
            (Some('+'), value) => Ok(value.map(|_| word).unwrap_or_default()),
            (Some('?'), Some(value)) => Ok(value),
            (Some('?'), None) if word.is_empty() => Err(format!("`{name}` is not set")),
            (Some('?'), None) => Err(format!("`{name}` is not set: {word}")),
            (operator, _) => Err(format!(
                "`{}` after `${{{name}:` means nothing",
                operator.unwrap_or(' ')
            )),
        }
    }

    fn word(&mut self, end: char) -> Result<String, String> {
        let mut output = Output::default();
        self.until(Some(end), &mut output)?;
        Ok(output.text)
    }

    fn value_or_undefined(&mut self, name: &str) -> String {
        let value = self.variables.value(name);
        if value.is_none() {
            self.undefined.insert(name.to_owned());
        }
        value.unwrap_or_default()
    }

    fn name(&mut self) -> String {
        let mut end = 0;
        for (index, character) in self.rest.char_indices() {
            let digits_so_far = self
                .rest
                .get(..index)
                .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
            let fits = if index == 0 {
                character.is_ascii_alphanumeric() || character == '_'
            } else if digits_so_far {
                character.is_ascii_digit()
            } else {
                character.is_ascii_alphanumeric() || character == '_'
            };
            if !fits {
                break;
            }
            end = index + character.len_utf8();
        }
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name.to_owned()
    }
}

/// Shell pattern matching of a whole text: `*`, `?` and escaped characters.
fn matches(pattern: &[char], text: &[char]) -> bool {
    // All ways at once: the places in the text that can have been reached, after each token.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    let mut pattern = pattern;
    while let Some((token, rest)) = pattern.split_first() {
        let mut next = vec![false; text.len() + 1];
        let (literal, rest) = match (token, rest.split_first()) {
            ('\\', Some((character, rest))) => (Some(character), rest),
            ('*' | '?', _) => (None, rest),
            _ => (Some(token), rest),
        };
        for at in (0..=text.len()).filter(|at| reached[*at]) {
            if literal.is_none() && *token == '*' {
                next[at..].fill(true);
                break;
            }
            if text
                .get(at)
                .is_some_and(|found| literal.is_none_or(|wanted| wanted == found))
            {
                next[at + 1] = true;
            }
        }
        reached = next;
        pattern = rest;
    }
    reached[text.len()]
}

fn without_prefix(value: &str, pattern: &str, longest: bool) -> String {
    let text: Vec<char> = value.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let mut ends: Vec<usize> = (0..=text.len()).collect();
    if longest {
        ends.reverse();
    }
    ends.into_iter()
        .find(|end| matches(&pattern, &text[..*end]))
        .map_or_else(|| value.to_owned(), |end| text[end..].iter().collect())
}

fn without_suffix(value: &str, pattern: &str, longest: bool) -> String {
    let text: Vec<char> = value.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let mut starts: Vec<usize> = (0..=text.len()).collect();
    if !longest {
        starts.reverse();
    }
    starts
        .into_iter()
        .find(|start| matches(&pattern, &text[*start..]))
        .map_or_else(|| value.to_owned(), |start| text[..start].iter().collect())
}

fn replace(value: &str, pattern: &str, replacement: &str, all: bool) -> String {
    let text: Vec<char> = value.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let mut output = String::new();
    let mut start = 0;
    let mut done = pattern.is_empty();
    while start < text.len() {
        let found = (!done)
            .then(|| {
                (start + 1..=text.len())
                    .rev()
                    .find(|end| matches(&pattern, &text[start..*end]))
            })
            .flatten();
        match found {
            Some(end) => {
                output.push_str(replacement);
                start = end;
                done = !all;
            }
            None => {
                output.push(text[start]);
                start += 1;
            }
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str) -> Option<String> {
        let value = match name {
            "A" => "alpha",
            "EMPTY" => "",
            "PATHS" => "/usr/local/bin",
            "SPACED" => "one two",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn variables_quotes_and_escapes() {
        for (text, expected) in [
            ("$A", Ok("alpha")),
            ("${A}b", Ok("alphab")),
            ("$A_b", Ok("")),
            ("$A-b", Ok("alpha-b")),
            ("${NONE:-$A}", Ok("alpha")),
            ("${NONE:-${NONE:-deep}}", Ok("deep")),
            ("${EMPTY:-x}", Ok("x")),
            ("${EMPTY-x}", Ok("")),
            ("${A:+x}", Ok("x")),
            ("${EMPTY:+x}", Ok("")),
            ("${EMPTY+x}", Ok("x")),
            ("${NONE:?give it}", Err("`NONE` is not set: give it")),
            ("${NONE?}", Err("`NONE` is not set")),
            ("${PATHS#*/}", Ok("usr/local/bin")),
            ("${PATHS##*/}", Ok("bin")),
            ("${PATHS%/*}", Ok("/usr/local")),
            ("${PATHS%%/l*}", Ok("/usr")),
            ("${PATHS/l*a/X}", Ok("/usr/Xl/bin")),
            ("${PATHS//\\//.}", Ok(".usr.local.bin")),
            ("'$A'", Ok("$A")),
            ("\"$A\"", Ok("alpha")),
            ("\"a\\\"b\\$A\\n\"", Ok("a\"b$A\\n")),
            ("\\$A", Ok("$A")),
            ("a\\ b", Ok("a b")),
            ("cost$", Ok("cost$")),
            ("${A", Err("`${A` has no closing `}`")),
            ("${}", Err("`${` is not followed by a variable's name")),
            ("${A!x}", Err("`!` after `${A` means nothing")),
            ("'a", Err("a closing ' is missing")),
            ("\"a", Err("a closing \" is missing")),
        ] {
            let actual = expand(text, &variables, '\\').map(|expanded| expanded.text);
            assert_eq!(
                actual.as_deref().map_err(String::as_str),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn words_are_split_outside_quotes_and_values() {
        let expanded = expand("a $SPACED \"b c\" ''", &variables, '\\').unwrap();
        assert_eq!(expanded.words, ["a", "one", "two", "b c", ""]);
        let expanded = expand("\"$SPACED\"", &variables, '\\').unwrap();
        assert_eq!(expanded.words, ["one two"]);
    }

    #[test]
    fn undefined_variables_are_named_unless_a_value_is_given() {
        let undefined = |text: &str| expand(text, &variables, '\\').unwrap().undefined;
        assert_eq!(undefined("$NONE $A"), BTreeSet::from(["NONE".to_owned()]));
        assert!(undefined("${NONE:-a} ${A:-$NONE} ${NONE:+x}").is_empty());
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |levels: usize| "${NONE:-".repeat(levels) + "x" + &"}".repeat(levels);
        let deepest = expand(&nested(MOST_NESTED), &variables, '\\').unwrap();
        assert_eq!(deepest.text, "x");
        assert_eq!(
            expand(&nested(100_000), &variables, '\\'),
            Err("`${NONE` is nested deeper than 100 levels".into())
        );
    }

    #[test]
    fn here_documents_keep_their_quotes() {
        let expanded = expand_only("say \"$A\" \\$A \\n 'x", &variables, '\\').unwrap();
        assert_eq!(expanded.text, "say \"alpha\" $A \\n 'x");
    }
}
