//! From the words of a failed engine to the line of the Dockerfile.

use synth_core::{Diagnostic, ProcessOutcome};

use crate::dockerfile::{Dockerfile, SourceText};
use crate::reference::full_name;

/// What is known of the Dockerfile that the engine was given.
pub(crate) struct Given<'a> {
    pub(crate) source: &'a SourceText,
    pub(crate) dockerfile: &'a Dockerfile,
    /// The images of registries, by the line of their `FROM`.
    pub(crate) images: Vec<(u32, &'a str)>,
    /// The first line that moved when lines were inserted.
    pub(crate) moved_from: u32,
    /// How many lines were inserted.
    pub(crate) moved_by: u32,
}

/// What a person is told when the engine could not build.
pub(crate) fn diagnostic(outcome: &ProcessOutcome, given: &Given<'_>) -> Diagnostic {
    let said = &outcome.last_output;
    let line = failed_step(said)
        .and_then(|step| line_of_step(step, given))
        .or_else(|| line_in_words(said, given));
    let diagnostic = match line {
        Some(line) => given.source.error(
            line,
            "docker.engine.failed",
            "the Docker engine failed at this line",
        ),
        None => Diagnostic::error(
            "docker.engine.failed",
            "the Docker engine could not build the image",
        )
        .in_file(given.source.path()),
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

fn line_of_step(step: &str, given: &Given<'_>) -> Option<u32> {
    if let Some(image) = step.strip_prefix("load metadata for ") {
        let mut images = given.images.iter();
        let found = images.find(|(_, name)| *name == image || full_name(name) == image);
        return found.map(|(line, _)| *line);
    }
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    let step = words(step);
    let stages = &given.dockerfile.stages;
    stages
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
fn line_in_words(said: &str, given: &Given<'_>) -> Option<u32> {
    let number = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    };
    let line = said.lines().rev().find_map(|line| {
        ["Dockerfile:", "error line ", "error on line "]
            .iter()
            .find_map(|mark| number(line.split_once(mark)?.1))
    })?;
    Some(if line >= given.moved_from.saturating_add(given.moved_by) {
        line.saturating_sub(given.moved_by)
    } else {
        line.min(given.moved_from)
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
        let given = Given {
            source: &source,
            dockerfile: &dockerfile,
            images: vec![(2, "x")],
            moved_from: 2,
            moved_by: 3,
        };
        let diagnostic = diagnostic(&outcome, &given);
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
            (
                " > [internal] load metadata for docker.io/library/x:latest:\n------\nno such host",
                Some(2),
            ),
            ("no space left on device", None),
        ] {
            assert_eq!(line(said), expected, "{said:?}");
        }
    }
}
