//! Paths inside an image: `/` between components, absolute, in normal form.

/// `path` seen from the directory `from`, absolute and without `.`, `..` and empty components.
pub(crate) fn absolute(from: &str, path: &str) -> String {
    let mut components: Vec<&str> = Vec::new();
    let from = if path.starts_with('/') { "" } else { from };
    for component in from.split('/').chain(path.split('/')) {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            name => components.push(name),
        }
    }
    format!("/{}", components.join("/"))
}

/// `path` relative to a root that it may not leave.
///
/// # Errors
/// When its `..` lead above the root.
pub(crate) fn relative(path: &str) -> Result<String, ()> {
    let mut components: Vec<&str> = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop().ok_or(())?;
            }
            name => components.push(name),
        }
    }
    Ok(components.join("/"))
}

/// `name` below `directory`, both relative to the root, which is the empty text.
pub(crate) fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else if name.is_empty() {
        directory.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

/// The directory of a path and its last component.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// What is left of `path` below `directory`; none when it is not below it.
pub(crate) fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    if directory.is_empty() {
        return (!path.is_empty()).then_some(path);
    }
    path.strip_prefix(directory)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_absolute_and_normal() {
        for (from, path, expected) in [
            ("/app", "x", "/app/x"),
            ("/app", "/x/./y/../z/", "/x/z"),
            ("/app", ".", "/app"),
            ("", "x", "/x"),
            ("/app", "../../..", "/"),
        ] {
            assert_eq!(absolute(from, path), expected);
        }
    }

    #[test]
    fn relative_paths_stay_below_their_root() {
        assert_eq!(relative("/a/../b/./c/"), Ok("b/c".into()));
        assert_eq!(relative("a/../../b"), Err(()));
        assert_eq!(relative("."), Ok(String::new()));
    }
}
