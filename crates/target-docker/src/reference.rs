//! Names of images, `registry/path:tag`, as Docker's "distribution" reference grammar has them.

/// The tag of a name; none when it has none.
pub(crate) fn tag(name: &str) -> Option<&str> {
    let (_, tag) = name.rsplit_once(':')?;
    (!tag.contains('/')).then_some(tag)
}

/// The name with the registry and the tag that Docker means when they are left out.
pub(crate) fn full_name(name: &str) -> String {
    let with_tag = match tag(name) {
        Some(_) => name.to_owned(),
        None => format!("{name}:latest"),
    };
    match name.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => with_tag,
        Some(_) => format!("docker.io/{with_tag}"),
        None => format!("docker.io/library/{with_tag}"),
    }
}

/// Checks a name that an image is to be given.
///
/// # Errors
/// What is wrong with it, for a person.
pub(crate) fn check(name: &str) -> Result<(), String> {
    if name.contains('@') {
        return Err("a digest can't be chosen, only a name and a tag".into());
    }
    let (path, tag) = match tag(name) {
        Some(tag) => (name.get(..name.len() - tag.len() - 1).unwrap_or(name), tag),
        None => (name, "latest"),
    };
    let tag_is_valid = (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if !tag_is_valid {
        return Err(format!(
            "the tag `{tag}` is not 1 to 128 letters, digits, `_`, `.` and `-`"
        ));
    }
    let mut components = path.split('/').peekable();
    if path.contains('/')
        && let Some(registry) = components.next_if(|first| first.contains(['.', ':']))
        && !registry
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':'))
    {
        return Err(format!("`{registry}` is not a registry's address"));
    }
    for component in components {
        let inner = component
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-'));
        let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if !inner || !component.starts_with(ends) || !component.ends_with(ends) {
            return Err(format!(
                "`{component}` is not lower-case letters and digits, parted by `_`, `.` or `-`"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed() {
        for (name, expected) in [
            ("app", "docker.io/library/app:latest"),
            ("app:1", "docker.io/library/app:1"),
            ("team/app:1", "docker.io/team/app:1"),
            ("registry.example/app", "registry.example/app:latest"),
            ("localhost:5000/app:1", "localhost:5000/app:1"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
        ] {
            assert_eq!(full_name(name), expected);
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_no_registry_takes() {
        for name in [
            "App",
            "app:",
            "app:-1",
            "app::1",
            "a//b",
            "app@sha256:00",
            "-app",
            "reg!.x/app",
            "",
        ] {
            assert!(check(name).is_err(), "{name:?}");
        }
    }
}
