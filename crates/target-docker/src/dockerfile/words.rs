//! The words of an instruction: shell-like splitting, `--flags` and JSON lists. Quotes and
//! escapes stay in the words; `substitution` takes them off.

/// Splits at white space outside quotes; quotes and escapes are kept as written.
pub(crate) fn split(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == escape && quote != Some('\'') {
            word.push(character);
            word.extend(characters.next());
            continue;
        }
        match quote {
            Some(open) => {
                word.push(character);
                if character == open {
                    quote = None;
                }
            }
            None if character.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            None => {
                if matches!(character, '"' | '\'') {
                    quote = Some(character);
                }
                word.push(character);
            }
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The first word and what follows it, trimmed.
pub(crate) fn first(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

/// A flag of an instruction: `--chown=app`, `--link`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flag {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

/// Takes the flags off the front of an instruction's arguments.
pub(crate) fn flags(text: &str) -> (Vec<Flag>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let end = flag_end(rest);
        let (word, after) = rest.split_at(end);
        rest = after.trim_start();
        let word = word.trim_start_matches('-');
        if word.is_empty() {
            // `--` alone ends the flags.
            break;
        }
        flags.push(match word.split_once('=') {
            Some((name, value)) => Flag {
                name: name.to_owned(),
                value: Some(unquote(value)),
            },
            None => Flag {
                name: word.to_owned(),
                value: None,
            },
        });
    }
    (flags, rest)
}

fn flag_end(text: &str) -> usize {
    let mut quote: Option<char> = None;
    for (index, character) in text.char_indices() {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None if character.is_whitespace() => return index,
            None => {}
        }
    }
    text.len()
}

fn unquote(value: &str) -> String {
    for quote in ['"', '\''] {
        let inner = value
            .strip_prefix(quote)
            .and_then(|value| value.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner.to_owned();
        }
    }
    value.to_owned()
}

/// The items of a JSON list of texts, when `text` is one.
pub(crate) fn json_list(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if !text.starts_with('[') {
        return None;
    }
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_white_space_outside_quotes() {
        for (text, expected) in [
            ("a  b\tc", &["a", "b", "c"][..]),
            (r#"a="b c" d='e f'"#, &[r#"a="b c""#, "d='e f'"]),
            (r"a=b\ c d", &[r"a=b\ c", "d"]),
            (r#""a\" b" c"#, &[r#""a\" b""#, "c"]),
            ("", &[]),
        ] {
            assert_eq!(split(text, '\\'), expected, "{text:?}");
        }
    }

    #[test]
    fn flags_come_first() {
        let flag = |name: &str, value: Option<&str>| Flag {
            name: name.into(),
            value: value.map(Into::into),
        };
        for (text, expected, rest) in [
            (
                "--link --from=a b c",
                vec![flag("link", None), flag("from", Some("a"))],
                "b c",
            ),
            ("a --link", vec![], "a --link"),
            (
                r#"--exclude="a b" c"#,
                vec![flag("exclude", Some("a b"))],
                "c",
            ),
        ] {
            assert_eq!(flags(text), (expected, rest), "{text:?}");
        }
    }

    #[test]
    fn only_lists_of_texts_are_json_forms() {
        assert_eq!(
            json_list(r#"["a", "b"]"#),
            Some(vec!["a".into(), "b".into()])
        );
        assert_eq!(json_list("[]"), Some(vec![]));
        assert_eq!(json_list("['a']"), None);
        assert_eq!(json_list("[1]"), None);
        assert_eq!(json_list("a"), None);
    }
}
