//! A command as a user writes it: a text for the shell, or an argument vector.

use schemars::JsonSchema;
use serde::Deserialize;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Command {
    /// A text for the shell.
    Shell(String),
    /// A program and its arguments.
    Arguments(Vec<String>),
}

/// Words that stand before a command in a shell's line without being one.
const PREFIXES: [&str; 14] = [
    "!", "{", "(", "if", "then", "elif", "else", "while", "until", "do", "exec", "command", "env",
    "time",
];

/// What a shell does by itself.
const BUILTINS: [&str; 24] = [
    ".", ":", "[", "break", "case", "cd", "continue", "done", "echo", "esac", "eval", "exit",
    "export", "false", "fi", "for", "printf", "pwd", "read", "return", "set", "test", "true",
    "unset",
];

impl Command {
    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Shell(line) => line.trim().is_empty(),
            Self::Arguments(arguments) => arguments.first().is_none_or(|first| first.is_empty()),
        }
    }

    /// As a line, for messages.
    pub(crate) fn display(&self) -> String {
        match self {
            Self::Shell(line) => line.trim().to_owned(),
            Self::Arguments(arguments) => arguments.join(" "),
        }
    }

    /// The program it is sure to run: the shell, or its first word unless that is a path.
    pub(crate) fn program(&self) -> Option<&str> {
        match self {
            Self::Shell(_) => Some("sh"),
            Self::Arguments(arguments) => arguments.first().map(String::as_str),
        }
    }

    /// The programs that a shell's line names where a command can stand, in order, each once.
    /// A shell's grammar is not read: what is missed here is still found in the system's
    /// directories.
    pub(crate) fn programs_in_shell(&self) -> Vec<&str> {
        let Self::Shell(line) = self else {
            return Vec::new();
        };
        let mut programs = Vec::new();
        for part in line.split(['\n', ';', '|', '&', '(', ')', '`']) {
            let first = part.split_whitespace().find(|word| {
                let is_assignment = word.split_once('=').is_some_and(|(name, _)| is_name(name));
                !is_assignment && !PREFIXES.contains(word)
            });
            if let Some(program) = first
                && is_program(program)
                && !programs.contains(&program)
            {
                programs.push(program);
            }
        }
        programs
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '_')
}

fn is_program(word: &str) -> bool {
    let plain = word
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || "._+-".contains(character));
    plain && !word.starts_with('-') && !BUILTINS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_where_commands_stand() {
        for (line, programs) in [
            ("npm ci && npm run build", vec!["npm"]),
            ("NODE_ENV=production npx vite build", vec!["npx"]),
            ("cd docs; hugo --minify | tee log", vec!["hugo", "tee"]),
            ("if test -f x; then mkdocs build; fi", vec!["mkdocs"]),
            ("exec ./build.sh", vec![]),
            (
                "(make site)\npython3 -m http.server",
                vec!["make", "python3"],
            ),
            ("echo \"$HOME\"", vec![]),
        ] {
            let command = Command::Shell(line.into());
            assert_eq!(command.programs_in_shell(), programs, "{line}");
        }
    }
}
