//! Names and versions of distributions in the forms that file names and indexes use (PEP 503,
//! 625, 427).

/// Whether a project may have this name (core metadata specifications, "Name").
pub(crate) fn is_valid(name: &str) -> bool {
    let at_the_ends =
        |character: Option<char>| character.is_some_and(|c| c.is_ascii_alphanumeric());
    at_the_ends(name.chars().next())
        && at_the_ends(name.chars().last())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// A name as indexes compare it: lower case, one `-` for each run of `-`, `_` and `.` (PEP 503).
pub(crate) fn normalized(name: &str) -> String {
    let mut result = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '-' | '_' | '.') {
            if !result.ends_with('-') {
                result.push('-');
            }
        } else {
            result.extend(character.to_lowercase());
        }
    }
    result
}

/// A name as file names of wheels and sdists hold it.
pub(crate) fn in_file_name(name: &str) -> String {
    normalized(name).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_and_end_with_a_letter_or_digit() {
        for (name, valid) in [
            ("a", true),
            ("zope.interface_2", true),
            ("-shop-", false),
            ("shop.", false),
            ("two words", false),
            ("", false),
        ] {
            assert_eq!(is_valid(name), valid, "{name:?}");
        }
    }

    #[test]
    fn names_are_normalized() {
        for (name, expected) in [
            ("Flask", "flask"),
            ("zope.interface", "zope-interface"),
            ("a__b-.c", "a-b-c"),
        ] {
            assert_eq!(normalized(name), expected);
        }
        assert_eq!(in_file_name("Zope.Interface"), "zope_interface");
    }
}
