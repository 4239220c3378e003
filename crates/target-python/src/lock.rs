//! Lock files of Python's project tools (uv.lock, pylock.toml, poetry.lock, pdm.lock) as version
//! constraints for any installer.

use std::collections::BTreeMap;

use synth_core::Diagnostic;
use toml::{Table, Value};

/// The lock files that are understood, the first that is there being taken: name, and the key
/// of the packages.
pub(crate) const LOCK_FILES: [(&str, &str); 4] = [
    ("uv.lock", "package"),
    ("pylock.toml", "packages"),
    ("poetry.lock", "package"),
    ("pdm.lock", "package"),
];

/// Keys of a package that does not come from an index by its version.
const ELSEWHERE: [&str; 7] = [
    "git",
    "url",
    "path",
    "vcs",
    "directory",
    "archive",
    "editable",
];

/// The locked versions as constraints, one a line.
pub(crate) fn constraints(path: &str, key: &str, text: &str) -> Result<String, Diagnostic> {
    let table: Table = toml::from_str(text).map_err(|error| {
        let diagnostic = Diagnostic::error(
            "python.lock.syntax",
            format!("the lock file is not valid TOML: {}", error.message()),
        )
        .help("write it anew with the tool it belongs to, or set `locked = false`");
        match error.span() {
            Some(span) => diagnostic.at_span(path, text, &span),
            None => diagnostic.in_file(path),
        }
    })?;
    let packages = table.get(key).and_then(Value::as_array);
    let mut versions: BTreeMap<&str, BTreeMap<&str, Option<String>>> = BTreeMap::new();
    for package in packages.into_iter().flatten() {
        if let (Some(name), Some(version)) = (text_of(package, "name"), text_of(package, "version"))
            && from_index(package)
        {
            versions
                .entry(name)
                .or_default()
                .insert(version, markers(package));
        }
    }
    let mut lines = String::new();
    for (name, versions) in versions {
        let single = versions.len() == 1;
        for (version, markers) in versions {
            match markers {
                _ if single => lines.push_str(&format!("{name}=={version}\n")),
                Some(markers) => lines.push_str(&format!("{name}=={version} ; {markers}\n")),
                // Which of several is meant can't be said, so none is.
                None => {}
            }
        }
    }
    Ok(lines)
}

fn text_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn from_index(package: &Value) -> bool {
    if ELSEWHERE.iter().any(|key| package.get(key).is_some()) {
        return false;
    }
    match package.get("source") {
        None => true,
        // Poetry names other indexes `legacy`.
        Some(source) => {
            source.get("registry").is_some() || text_of(source, "type") == Some("legacy")
        }
    }
}

/// When a package is meant: each tool has its own words for it.
fn markers(package: &Value) -> Option<String> {
    if let Some(forks) = package.get("resolution-markers").and_then(Value::as_array) {
        let forks: Vec<String> = forks
            .iter()
            .filter_map(Value::as_str)
            .map(|fork| format!("({fork})"))
            .collect();
        return (!forks.is_empty()).then(|| forks.join(" or "));
    }
    let marker = text_of(package, "marker").or_else(|| text_of(package, "markers"));
    marker.map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UV: &str = r#"
        [[package]]
        name = "own"
        version = "1"
        source = { editable = "." }
        [[package]]
        name = "pytest"
        version = "8.4.2"
        source = { registry = "https://example.org/simple" }
        resolution-markers = ["python_version < '3.10'"]
        [[package]]
        name = "pytest"
        version = "9.0.2"
        source = { registry = "https://example.org/simple" }
        resolution-markers = ["python_version >= '3.12'", "python_version == '3.11'"]
        [[package]]
        name = "six"
        version = "1.17.0"
        source = { registry = "https://example.org/simple" }
        "#;
    const POETRY: &str = r#"
        [[package]]
        name = "a"
        version = "1"
        [[package]]
        name = "b"
        version = "2"
        [package.source]
        type = "git"
        url = "https://example.org"
        "#;
    const PYLOCK: &str = r#"
        lock-version = "1.0"
        [[packages]]
        name = "a"
        version = "1"
        marker = "os_name == 'nt'"
        [[packages]]
        name = "a"
        version = "2"
        "#;

    #[test]
    fn locks_become_constraints() {
        for (file, text, expected) in [
            (
                "uv.lock",
                UV,
                "pytest==8.4.2 ; (python_version < '3.10')\n\
                 pytest==9.0.2 ; (python_version >= '3.12') or (python_version == '3.11')\n\
                 six==1.17.0\n",
            ),
            ("poetry.lock", POETRY, "a==1\n"),
            ("pylock.toml", PYLOCK, "a==1 ; os_name == 'nt'\n"),
        ] {
            let (_, key) = LOCK_FILES.iter().find(|(name, _)| *name == file).unwrap();
            assert_eq!(constraints(file, key, text).unwrap(), expected, "{file}");
        }
    }

    #[test]
    fn a_broken_lock_is_shown_where_it_breaks() {
        let error = constraints("api/uv.lock", "package", "version = 1\n[[package\n").unwrap_err();
        assert_eq!(error.code, "python.lock.syntax");
        assert!(format!("{:?}", error.place).contains("line: 2"));
    }
}
