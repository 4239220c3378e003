//! requirements.txt files, as far as their lines can be taken over: requirements, other files,
//! and the project itself.

use std::collections::BTreeSet;

use synth_core::{PlanContext, ProjectPath};

use crate::pyproject::requirement_problem;

/// What a file asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Requirements (PEP 508).
    pub(crate) requirements: Vec<String>,
    /// Extras of the project itself.
    pub(crate) extras: BTreeSet<String>,
}

/// Reads a file and those it includes; none when it can't be read or has a line that means
/// something else.
pub(crate) fn read(path: &ProjectPath, context: &dyn PlanContext) -> Option<Listed> {
    let mut listed = Listed::default();
    add(path, context, &mut listed, &mut BTreeSet::new()).then_some(listed)
}

fn add(
    path: &ProjectPath,
    context: &dyn PlanContext,
    listed: &mut Listed,
    seen: &mut BTreeSet<ProjectPath>,
) -> bool {
    if !seen.insert(path.clone()) {
        return true;
    }
    let Ok(text) = context.read_text(path) else {
        return false;
    };
    let text = text.replace("\\\r\n", " ").replace("\\\n", " ");
    text.lines()
        .map(|line| without_comment(line).trim())
        .filter(|line| !line.is_empty())
        .all(|line| add_line(line, path, context, listed, seen))
}

fn add_line(
    line: &str,
    path: &ProjectPath,
    context: &dyn PlanContext,
    listed: &mut Listed,
    seen: &mut BTreeSet<ProjectPath>,
) -> bool {
    let (option, value) = line
        .split_once([' ', '='])
        .filter(|_| line.starts_with('-'))
        .unwrap_or(("", line));
    let value = value.trim();
    match option {
        "-r" | "--requirement" => {
            let included = path.parent().and_then(|parent| parent.join(value).ok());
            included.is_some_and(|included| add(&included, context, listed, seen))
        }
        "" | "-e" | "--editable" => match own_extras(value) {
            Some(extras) => {
                listed.extras.extend(extras);
                true
            }
            None if option.is_empty() => add_requirement(value, listed),
            None => false,
        },
        _ => false,
    }
}

fn add_requirement(value: &str, listed: &mut Listed) -> bool {
    // Hashes belong to one file of one version, which a constraint pins as well.
    let value = value.split(" --").next().unwrap_or(value).trim();
    let usable = requirement_problem(value).is_none();
    if usable {
        listed.requirements.push(value.to_owned());
    }
    usable
}

/// The extras in `.`, `./` or `.[a,b]`.
fn own_extras(value: &str) -> Option<Vec<String>> {
    let (path, extras) = value.split_once('[').unwrap_or((value, "]"));
    let extras = extras.strip_suffix(']')?;
    matches!(path.trim(), "." | "./").then(|| {
        let extras = extras.split(',').map(|extra| extra.trim().to_owned());
        extras.filter(|extra| !extra.is_empty()).collect()
    })
}

fn without_comment(line: &str) -> &str {
    match line.find('#') {
        Some(0) => "",
        // Inside a URL, a `#` belongs to it.
        Some(_) => line.split(" #").next().unwrap_or(line),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use synth_core::testkit::TestProject;

    use super::*;

    fn listed(text: &str) -> Option<String> {
        let project = TestProject::new().unwrap();
        project.write("app/requirements-dev.txt", text).unwrap();
        project.write("app/requirements.txt", "six\n").unwrap();
        let path = ProjectPath::parse("app/requirements-dev.txt").unwrap();
        read(&path, &project).map(|listed| format!("{:?} {:?}", listed.requirements, listed.extras))
    }

    #[test]
    fn lines_are_taken_over_or_the_file_is_not() {
        for (text, expected) in [
            (
                "-e .[socks]\npytest>=2.8,<9 # runner\n\n# more\nhttpbin~=0.10.0\n",
                Some(r#"["pytest>=2.8,<9", "httpbin~=0.10.0"] {"socks"}"#),
            ),
            (
                "-r requirements.txt\npytest ==8 \\\n  --hash=sha256:00\n",
                Some(r#"["six", "pytest ==8"] {}"#),
            ),
            ("-r missing.txt", None),
            ("--index-url https://example.org\npytest", None),
            ("../other", None),
        ] {
            assert_eq!(listed(text).as_deref(), expected, "{text}");
        }
    }
}
