//! What synth.toml says of retries, beyond its shape: patterns that are none, delays that can't be.

use synth_core::{Diagnostic, RetrySettings};

use super::document::{Document, Node};
use crate::failure::compile;

/// Reads the key `retry` of the pipeline.
pub(super) fn read(
    document: &Document,
    settings: Option<&RetrySettings>,
    found: &mut Vec<Diagnostic>,
) -> RetrySettings {
    let Some(settings) = settings else {
        return RetrySettings::default();
    };
    if let Some(node) = document.root.get("retry") {
        let of_pipeline = format!("`{}`", document.path);
        found.extend(problems(document, node, settings, &of_pipeline));
    }
    settings.clone()
}

/// What is wrong with a table `retry`.
pub(super) fn problems(
    document: &Document,
    node: &Node,
    settings: &RetrySettings,
    of: &str,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (index, pattern) in settings.patterns.iter().enumerate() {
        let Err(reason) = compile(pattern) else {
            continue;
        };
        let message = format!(
            "`{}` of `retry.patterns` of {of} is no regular expression: {reason}",
            shown(pattern)
        );
        let help =
            "the syntax is that of https://docs.rs/regex; in '..' a backslash stands for itself";
        let problem = Diagnostic::error("config.retry.pattern", message).help(help);
        let span = node.locate(&["patterns".to_owned(), index.to_string()]);
        found.push(document.place(problem, &span));
    }
    if let (Some(initial), Some(maximum)) = (
        settings.initial_delay_seconds,
        settings.maximum_delay_seconds,
    ) && initial > maximum
    {
        let message =
            format!("`retry.initial_delay_seconds` of {of} is longer than `maximum_delay_seconds`");
        let problem = Diagnostic::error("config.retry.delay", message)
            .help("make the first delay shorter, or the longest one longer");
        found.push(document.place(problem, &node.locate(&["initial_delay_seconds"])));
    }
    found
}

/// A pattern as far as a person reads it.
fn shown(pattern: &str) -> String {
    const MOST_CHARACTERS: usize = 80;
    match pattern.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}..", &pattern[..end]),
        None => pattern.to_owned(),
    }
}
