//! The Dockerfile that the engine is given: the user's own, with a stage for each named input
//! before the first `FROM`. Stages that are called by number move up by as many.

use crate::dockerfile::{Dockerfile, Instruction};

/// Puts `stages` (one `FROM` a line) before the first `FROM`, so that what is before stays global.
pub(crate) fn with_stages(text: &str, dockerfile: &Dockerfile, stages: &[String]) -> String {
    let first = dockerfile.stages.first().map_or(1, |stage| stage.line);
    // A byte order mark is one at the very start only.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (line, numbers) in numbered(dockerfile) {
        // Flags are on their instruction's first line or on those that continue it, in order.
        let mut at = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let mut column = 0;
        for number in numbers {
            while let Some(text) = lines.get_mut(at) {
                if let Some(end) = move_reference(text, column, number, stages.len()) {
                    column = end;
                    break;
                }
                (at, column) = (at + 1, 0);
            }
        }
    }
    let at = usize::try_from(first.saturating_sub(1)).unwrap_or(0);
    let at = at.min(lines.len());
    lines.splice(at..at, stages.iter().cloned());
    lines.push(String::new());
    lines.join("\n")
}

/// The stage to build, as the engine has to be told it.
pub(crate) fn target(target: &str, dockerfile: &Dockerfile, inserted: usize) -> String {
    let lower = target.to_ascii_lowercase();
    let is_name = dockerfile
        .stages
        .iter()
        .any(|stage| stage.name.as_deref() == Some(lower.as_str()));
    match target.parse::<usize>() {
        Ok(number) if !is_name => (number + inserted).to_string(),
        _ => target.to_owned(),
    }
}

/// The references to stages by number of each instruction, with its line.
fn numbered(dockerfile: &Dockerfile) -> Vec<(u32, Vec<usize>)> {
    let statements = dockerfile.stages.iter().flat_map(|stage| &stage.statements);
    statements
        .map(|statement| {
            let names: Vec<&String> = match &statement.instruction {
                Instruction::Copy(copy) => copy.from.iter().collect(),
                Instruction::Run(run) => {
                    let mounts = run.mounts.iter();
                    mounts.filter_map(|mount| mount.from.as_ref()).collect()
                }
                _ => Vec::new(),
            };
            let numbers = names.iter().filter_map(|name| name.parse().ok());
            (statement.line, numbers.collect())
        })
        .collect()
}

/// Moves the first `from=NUMBER` at or after `column` that stands as a flag or a field of one.
/// The column after it, when there is one.
fn move_reference(text: &mut String, column: usize, number: usize, by: usize) -> Option<usize> {
    let reference = format!("from={number}");
    let rest = text.get(column..)?;
    let (at, _) = rest.match_indices(&reference).find(|(at, _)| {
        let before = rest.get(..*at).and_then(|before| before.chars().last());
        let after = rest.get(at + reference.len()..);
        let after = after.and_then(|after| after.chars().next());
        matches!(before, Some('-' | ',' | '=')) && !after.is_some_and(char::is_alphanumeric)
    })?;
    let moved = format!("from={}", number + by);
    let start = column + at;
    text.replace_range(start..start + reference.len(), &moved);
    Some(start + moved.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::{SourceText, parse};

    #[test]
    fn stages_are_inserted_and_numbers_moved() {
        let text = "ARG A\nFROM a\nFROM b\nCOPY --chown=1 --from=0 x=from=0 /\nRUN --mount=type=bind,from=1,target=/a \\\n  --mount=from=0,target=/b \\\n  --mount=from=10,target=/c true\nCOPY --from=api x /";
        let source = SourceText::new("Dockerfile", text);
        let (dockerfile, _) = parse(text, &source);
        let stages = ["FROM i AS api".to_owned(), "FROM j AS base".to_owned()];
        insta::assert_snapshot!(with_stages(text, &dockerfile, &stages), @r#"
        ARG A
        FROM i AS api
        FROM j AS base
        FROM a
        FROM b
        COPY --chown=1 --from=2 x=from=0 /
        RUN --mount=type=bind,from=3,target=/a \
          --mount=from=2,target=/b \
          --mount=from=12,target=/c true
        COPY --from=api x /
        "#);
        let marked = with_stages("\u{feff}FROM a", &dockerfile, &[]);
        assert_eq!(marked, "FROM a\n");
        assert_eq!(target("0", &dockerfile, 2), "2");
        assert_eq!(target("build", &dockerfile, 2), "build");
    }
}
