//! From the words of a failed engine to the line of the Dockerfile.

use synth_core::{Diagnostic, ProcessOutcome};

use crate::dockerfile::{Dockerfile, SourceText};

/// Lines that were inserted before the engine saw the Dockerfile.
pub(crate) struct Moved {
    /// The first line that moved.
    pub(crate) from_line: u32,
    pub(crate) by: u32,
}

/// What a person is told when the engine could not build.
pub(crate) fn diagnostic(
    outcome: &ProcessOutcome,
    source: &SourceText,
    dockerfile: &Dockerfile,
    moved: &Moved,
) -> Diagnostic {
    let said = &outcome.last_output;
    let line = failed_step(said)
        .and_then(|step| line_of_step(step, dockerfile))
        .or_else(|| line_in_words(said, moved));
    let diagnostic = match line {
        Some(line) => source.error(
            line,
            "docker.engine.failed",
            "the Docker engine failed at this line",
        ),
        None => Diagnostic::error(
            "docker.engine.failed",
            "the Docker engine could not build the image",
        )
        .in_file(source.path()),
    };
    match last_words(said) {
        Some(words) => diagnostic.cause(words),
        None => diagnostic,
    }
}

/// The instruction in ` > [stage 2/3] RUN make:`.
fn failed_step(said: &str) -> Option<&str> {
    said.lines().rev().find_map(|line| {
        let (_, step) = line.trim().strip_prefix("> [")?.split_once("] ")?;
        Some(step.strip_suffix(':').unwrap_or(step))
    })
}

fn line_of_step(step: &str, dockerfile: &Dockerfile) -> Option<u32> {
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    let step = words(step);
    dockerfile
        .stages
        .iter()
        .flat_map(|stage| &stage.statements)
        .find(|statement| {
            let statement = words(&statement.text);
            // A here-document is cut off after its first line.
            statement == step || (step.len() > 2 && statement.starts_with(&step))
        })
        .map(|statement| statement.line)
}

/// The number in `Dockerfile:12`, or in `dockerfile parse error line 12:` and the like.
fn line_in_words(said: &str, moved: &Moved) -> Option<u32> {
    let number = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    };
    let line = said.lines().rev().find_map(|line| {
        ["Dockerfile:", "error line ", "error on line "]
            .iter()
            .find_map(|mark| number(line.split_once(mark)?.1))
    })?;
    Some(if line >= moved.from_line.saturating_add(moved.by) {
        line.saturating_sub(moved.by)
    } else {
        line.min(moved.from_line)
    })
}

/// The last line that says something.
pub(crate) fn last_words(said: &str) -> Option<String> {
    let line = said
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.chars().all(|character| character == '-'))?;
    Some(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::parse;

    fn line(said: &str) -> Option<u32> {
        let text = "ARG A\nFROM x AS build\nRUN make \\\n  all\nRUN <<EOF\nfalse\nEOF\nCOPY a b\n";
        let source = SourceText::new("Dockerfile", text);
        let (dockerfile, problems) = parse(text, &source);
        assert_eq!(problems, []);
        let outcome = ProcessOutcome {
            exit_code: Some(1),
            last_output: said.into(),
        };
        let moved = Moved {
            from_line: 2,
            by: 3,
        };
        let diagnostic = diagnostic(&outcome, &source, &dockerfile, &moved);
        match diagnostic.place {
            Some(synth_core::Place::File { position, .. }) => position.map(|found| found.line),
            _ => None,
        }
    }

    #[test]
    fn the_line_is_found_in_what_engines_say() {
        for (said, expected) in [
            (
                "------\n > [build 2/3] RUN make   all:\n------\nexecutor failed running",
                Some(3),
            ),
            (
                " > [2/2] COPY a b:\n------\nfailed to compute cache key",
                Some(8),
            ),
            ("Dockerfile:8\n----\nERROR: failed to solve", Some(5)),
            ("dockerfile parse error on line 1: x", Some(1)),
            ("no space left on device", None),
        ] {
            assert_eq!(line(said), expected, "{said:?}");
        }
    }
}
