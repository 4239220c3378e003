//! Poetry's own dependency tables as PEP 508 requirements: caret, tilde and wildcard versions,
//! extras, markers and version control sources.

use std::str::FromStr;

use pep440_rs::Version;
use toml::{Table, Value};

/// The requirements of a table of dependencies. What only makes sense inside the project's
/// checkout (a path) is left out.
pub(crate) fn requirements(table: &Table) -> Vec<String> {
    table
        .iter()
        .filter(|(name, _)| *name != "python")
        .flat_map(|(name, value)| match value {
            Value::Array(choices) => choices
                .iter()
                .filter_map(|c| requirement(name, c))
                .collect(),
            one => requirement(name, one).into_iter().collect::<Vec<_>>(),
        })
        .collect()
}

fn requirement(name: &str, value: &Value) -> Option<String> {
    let table = match value {
        Value::String(version) => return Some(format!("{name}{}", specifiers(version)?)),
        Value::Table(table) => table,
        _ => return None,
    };
    let text = |key: &str| table.get(key).and_then(Value::as_str);
    let extras = table.get("extras").and_then(Value::as_array).map(|extras| {
        let extras: Vec<&str> = extras.iter().filter_map(Value::as_str).collect();
        format!("[{}]", extras.join(","))
    });
    let source = if let Some(repository) = text("git") {
        let revision = text("rev").or(text("tag")).or(text("branch"));
        let revision = revision.map(|revision| format!("@{revision}"));
        format!(" @ git+{repository}{} ", revision.unwrap_or_default())
    } else if let Some(url) = text("url") {
        format!(" @ {url} ")
    } else {
        specifiers(text("version")?)?
    };
    let python = text("python").and_then(specifiers).unwrap_or_default();
    let python = python
        .split(',')
        .filter(|part| !part.is_empty())
        .filter_map(|part| {
            let version = part.trim_start_matches(['<', '>', '=', '!', '~']);
            let operator = part.strip_suffix(version)?;
            Some(format!("python_full_version {operator} '{version}'"))
        });
    let markers: Vec<String> = text("markers")
        .map(|markers| format!("({markers})"))
        .into_iter()
        .chain(python)
        .collect();
    let markers = match markers.as_slice() {
        [] => String::new(),
        markers => format!("; {}", markers.join(" and ")),
    };
    let extras = extras.unwrap_or_default();
    Some(format!("{name}{extras}{source}{markers}"))
}

/// PEP 440 specifiers of a version as Poetry writes it; none when it can't be said in them.
fn specifiers(text: &str) -> Option<String> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let parts: Option<Vec<String>> = parts.map(specifier).collect();
    Some(
        parts?
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(","),
    )
}

fn specifier(text: &str) -> Option<String> {
    if text == "*" {
        return Some(String::new());
    }
    if let Some(version) = text.strip_prefix('^') {
        let version = Version::from_str(version.trim()).ok()?;
        // The first number that is not 0 may not grow; of nothing but zeros, the last.
        let release = version.release();
        let fixed = release.iter().position(|number| *number != 0);
        let fixed = fixed.unwrap_or(release.len().saturating_sub(1));
        return Some(format!(">={version},<{}", next(release, fixed)));
    }
    if let Some(version) = text.strip_prefix('~').filter(|rest| !rest.starts_with('=')) {
        let version = Version::from_str(version.trim()).ok()?;
        let fixed = version.release().len().saturating_sub(1).min(1);
        return Some(format!(">={version},<{}", next(version.release(), fixed)));
    }
    if text.starts_with(['<', '>', '=', '!', '~']) {
        return (!text.contains("||")).then(|| text.replace(' ', ""));
    }
    // A bare version is that version, a bare wildcard is its series.
    let bare = text.strip_suffix(".*").unwrap_or(text);
    Version::from_str(bare).ok()?;
    Some(format!("=={text}"))
}

/// The release after all that share the numbers up to `fixed`.
fn next(release: &[u64], fixed: usize) -> String {
    let mut numbers: Vec<u64> = release.iter().copied().take(fixed + 1).collect();
    if let Some(last) = numbers.last_mut() {
        *last = last.saturating_add(1);
    }
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    numbers.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poetry_versions_become_requirements() {
        for (written, expected) in [
            ("a = \"^2.13.0\"", "a>=2.13.0,<3"),
            ("a = \"^0.2.3\"", "a>=0.2.3,<0.3"),
            ("a = \"^0.0\"", "a>=0.0,<0.1"),
            ("a = \"~1.2.3\"", "a>=1.2.3,<1.3"),
            ("a = \"~1\"", "a>=1,<2"),
            ("a = \"~=1.2\"", "a~=1.2"),
            ("a = \"*\"", "a"),
            ("a = \"1.2.*\"", "a==1.2.*"),
            ("a = \"1.2\"", "a==1.2"),
            ("a = \">=4.0.0, <5.0\"", "a>=4.0.0,<5.0"),
            (
                "a = { version = \">=1\", extras = [\"b\", \"c\"], python = \"^3.8\" }",
                "a[b,c]>=1; python_full_version >= '3.8' and python_full_version < '4'",
            ),
            (
                "a = { version = \"*\", markers = \"os_name == 'nt'\" }",
                "a; (os_name == 'nt')",
            ),
            (
                "a = { git = \"https://example.org/a.git\", tag = \"v1\" }",
                "a @ git+https://example.org/a.git@v1 ",
            ),
            ("a = { path = \"../a\" }", ""),
            ("python = \"^3.8\"", ""),
        ] {
            let table: Table = toml::from_str(written).unwrap();
            assert_eq!(requirements(&table).join("|"), expected, "{written}");
        }
    }
}
