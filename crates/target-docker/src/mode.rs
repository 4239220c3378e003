//! `--chmod`: octal modes and the symbolic ones of chmod(1).

use serde::{Deserialize, Serialize};

/// A change of file modes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ModeChange {
    /// `0755`
    Octal(u32),
    /// `u+x,go=rX`
    Symbolic(Vec<Clause>),
}

/// One clause of a symbolic mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clause {
    /// The bits of the classes it is for: `0o700`, `0o070`, `0o007` or their union.
    classes: u32,
    operator: char,
    permissions: String,
}

impl ModeChange {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return u32::from_str_radix(text, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777)
                .map(Self::Octal)
                .ok_or_else(|| format!("`{text}` is not a mode between 0 and 7777 in octal"));
        }
        text.split(',')
            .map(|clause| {
                Clause::parse(clause).ok_or_else(|| {
                    format!("`{clause}` is not a mode such as `0644`, `u+x` or `go=rX`")
                })
            })
            .collect::<Result<_, _>>()
            .map(Self::Symbolic)
    }

    /// The mode after the change.
    pub(crate) fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Self::Octal(mode) => *mode,
            Self::Symbolic(clauses) => clauses
                .iter()
                .fold(mode, |mode, clause| clause.apply(mode, is_directory)),
        }
    }
}

impl Clause {
    fn parse(text: &str) -> Option<Self> {
        let at = text.find(['+', '-', '='])?;
        let (who, rest) = text.split_at(at);
        let mut classes = 0;
        for class in who.chars() {
            classes |= match class {
                'u' => 0o700,
                'g' => 0o070,
                'o' => 0o007,
                'a' => 0o777,
                _ => return None,
            };
        }
        let mut rest = rest.chars();
        let operator = rest.next()?;
        let permissions = rest.as_str();
        let valid = permissions
            .chars()
            .all(|permission| "rwxXst".contains(permission));
        valid.then(|| Self {
            classes: if classes == 0 { 0o777 } else { classes },
            operator,
            permissions: permissions.to_owned(),
        })
    }

    fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let mut bits = 0;
        for permission in self.permissions.chars() {
            bits |= match permission {
                'r' => 0o444 & self.classes,
                'w' => 0o222 & self.classes,
                'x' => 0o111 & self.classes,
                'X' if is_directory || mode & 0o111 != 0 => 0o111 & self.classes,
                's' => {
                    (if self.classes & 0o700 == 0 { 0 } else { 0o4000 })
                        | (if self.classes & 0o070 == 0 { 0 } else { 0o2000 })
                }
                't' => 0o1000,
                _ => 0,
            };
        }
        match self.operator {
            '+' => mode | bits,
            '-' => mode & !bits,
            _ => (mode & !self.classes) | bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        for (text, before, directory, after) in [
            ("755", 0o644, false, 0o755),
            ("4711", 0o644, false, 0o4711),
            ("u+x", 0o644, false, 0o744),
            ("+x", 0o644, false, 0o755),
            ("go-r", 0o644, false, 0o600),
            ("a=rX", 0o644, false, 0o444),
            ("a=rX", 0o644, true, 0o555),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u+s,+t", 0o755, false, 0o5755),
        ] {
            let change = ModeChange::parse(text).unwrap();
            assert_eq!(change.apply(before, directory), after, "{text}");
        }
        for text in ["999", "10000", "u", "z+x", "u+q", ""] {
            assert!(ModeChange::parse(text).is_err(), "{text}");
        }
    }
}
