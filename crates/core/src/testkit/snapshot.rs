//! A plan as text that a person reads and a test keeps: what depends on the machine is left out.

use std::fmt::Write as _;

use serde_json::Value;

use super::tools::digest;
use crate::{
    Action, ActionKind, Input, InputSource, Jobserver, Network, OutputKind, Plan, Resources, Retry,
    SourceFiles,
};

/// Lines of a file made by the plan that are shown; of a longer one, no more than its digest.
const MOST_LINES: usize = 12;

/// A plan as text, one block an action, for a snapshot.
///
/// What has its default is left out, and what differs from machine to machine is replaced: the
/// paths and digests of tools by their names (`[path of cc]`), the home directory by `[home]`.
/// Versions of tools are not shown.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
/// # fn main() -> Result<(), synth_core::testkit::Failed> {
/// use synth_core::testkit::{TestPipeline, plan_text};
///
/// let plan = TestPipeline::new(Greet).file("names.txt", "Ada\n").plan()?;
/// assert_eq!(
///     plan_text(&plan),
///     r#"greet (build): greet everyone
///   native greet {"greeting":"Hello"}
///   in . from the sources below ., only names.txt
///   out greetings: file greetings.txt
///
/// export greetings of greet to greetings.txt
/// artifact greet.text: *.txt
/// "#
/// );
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn plan_text(plan: &Plan) -> String {
    let mut lines = Lines::default();
    for action in &plan.actions {
        action_block(action, &mut lines);
        lines.add("", "");
    }
    if plan.in_place {
        lines.add("", "exports go among the sources");
    }
    for export in &plan.exports {
        lines.add(
            "",
            format!(
                "export {} of {} to {}",
                word(&export.output),
                word(&export.action),
                place(&export.path)
            ),
        );
    }
    for rule in &plan.artifacts {
        let pattern = match rule.pattern.as_str() {
            "" => "everything exported",
            pattern => pattern,
        };
        lines.add("", format!("artifact {}: {pattern}", rule.kind));
    }
    for warning in &plan.warnings {
        lines.add("", super::in_words(warning).trim_end());
    }
    normalized(lines.0, plan)
}

fn action_block(action: &Action, lines: &mut Lines) {
    let (id, phase) = (word(&action.id), action.phase);
    lines.add("", format!("{id} ({phase}): {}", action.description));
    let passed = match &action.kind {
        ActionKind::Exec(exec) => {
            let argv: Vec<String> = exec.argv.iter().map(|argument| word(argument)).collect();
            lines.add("  ", format!("exec {}", argv.join(" ")));
            if !exec.working_directory.is_empty() {
                lines.add(
                    "  ",
                    format!("working directory {}", word(&exec.working_directory)),
                );
            }
            for (name, value) in &exec.environment {
                lines.add("  ", format!("env {name}={}", word(value)));
            }
            &exec.pass_environment
        }
        ActionKind::Native(native) => {
            let parameters = match &native.parameters {
                Value::Null => String::new(),
                parameters => format!(" {parameters}"),
            };
            lines.add(
                "  ",
                format!("native {}{parameters}", word(&native.function)),
            );
            &native.pass_environment
        }
    };
    if !passed.is_empty() {
        lines.add("  ", format!("pass {}", passed.join(", ")));
    }
    for tool in &action.tools {
        lines.add("  ", format!("tool {}", tool.name));
    }
    for input in &action.inputs {
        input_lines(input, lines);
    }
    for output in &action.outputs {
        let kind = match output.kind {
            OutputKind::File => "file",
            OutputKind::Directory => "directory",
        };
        let mut text = format!("out {}: {kind} {}", word(&output.name), place(&output.path));
        if !output.patterns.is_empty() {
            let _ = write!(text, ", only {}", output.patterns.join(", "));
        }
        lines.add("  ", text);
    }
    if !action.scratch.is_empty() {
        lines.add("  ", format!("scratch {}", action.scratch.join(", ")));
    }
    if !action.after.is_empty() {
        lines.add("  ", format!("after {}", action.after.join(", ")));
    }
    if action.network == Network::Allowed {
        lines.add("  ", "network allowed");
    }
    if action.resources != Resources::default() {
        lines.add("  ", resources(&action.resources));
    }
    if let Some(seconds) = action.timeout_seconds {
        lines.add("  ", format!("timeout {seconds} s"));
    }
    if action.retry != Retry::default() {
        lines.add("  ", retry(&action.retry));
    }
}

fn retry(retry: &Retry) -> String {
    let Retry {
        attempts,
        network,
        exit_codes,
        patterns,
        timeouts,
    } = retry;
    let mut parts = Vec::new();
    parts.extend(network.then(|| "trouble of the network".to_owned()));
    parts.extend(exit_codes.iter().map(|code| format!("exit code {code}")));
    parts.extend(patterns.iter().map(|pattern| format!("`{pattern}`")));
    parts.extend(timeouts.then(|| "time-outs".to_owned()));
    match parts.is_empty() {
        true => format!("attempts {attempts}"),
        false => format!("attempts {attempts} for {}", parts.join(", ")),
    }
}

fn resources(resources: &Resources) -> String {
    let Resources {
        cpu_millis,
        memory_bytes,
        jobserver,
    } = resources;
    let mut parts = Vec::new();
    if *cpu_millis != 0 {
        parts.push(format!("{cpu_millis} thousandths of a processor"));
    }
    if *memory_bytes != 0 {
        parts.push(format!("{memory_bytes} bytes"));
    }
    match jobserver {
        Jobserver::None => {}
        Jobserver::Descriptors => parts.push("jobserver by descriptors".to_owned()),
        Jobserver::NamedPipe => parts.push("jobserver by named pipe".to_owned()),
    }
    format!("resources {}", parts.join(", "))
}

fn input_lines(input: &Input, lines: &mut Lines) {
    let at = place(&input.at);
    match &input.from {
        InputSource::Source(files) => {
            lines.add("  ", format!("in {at} from {}", sources(files)));
        }
        InputSource::Files { root, paths } => {
            let listed = paths.join(", ");
            lines.add("  ", format!("in {at} from files below {root}: {listed}"));
        }
        InputSource::Output { action, output } => {
            let text = format!("in {at} from output {} of {}", word(output), word(action));
            lines.add("  ", text);
        }
        InputSource::Target { name } => lines.add("  ", format!("in {at} from target {name}")),
        InputSource::Inline(file) => {
            let kind = if file.executable { "program" } else { "text" };
            let count = file.text.lines().count();
            if count > MOST_LINES {
                let digest = digest(file.text.as_bytes());
                let text = format!("in {at} from a {kind} of {count} lines, {}", digest.short());
                return lines.add("  ", text);
            }
            lines.add("  ", format!("in {at} from this {kind}:"));
            for line in file.text.lines() {
                lines.add("    | ", line);
            }
        }
    }
}

fn sources(files: &SourceFiles) -> String {
    let mut text = format!("the sources below {}", files.root);
    if !files.include.is_empty() {
        let _ = write!(text, ", only {}", files.include.join(", "));
    }
    if !files.exclude.is_empty() {
        let _ = write!(text, ", without {}", files.exclude.join(", "));
    }
    text
}

/// The text so far.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, indent: &str, line: impl AsRef<str>) {
        let line = format!("{indent}{}", line.as_ref());
        self.0.push_str(line.trim_end());
        self.0.push('\n');
    }
}

/// A word as it is, or in quotes when it would be taken for something else.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=+@%,*?~^${}[]()<>&|!#".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("{text:?}")
    }
}

/// A path, the root shown.
fn place(path: &str) -> String {
    match path {
        "" => ".".into(),
        path => word(path),
    }
}

/// Replaces what is another machine's matter.
fn normalized(mut text: String, plan: &Plan) -> String {
    for tool in plan.actions.iter().flat_map(|action| &action.tools) {
        let path = tool.path.to_string_lossy();
        text = text.replace(path.as_ref(), &format!("[path of {}]", tool.name));
        let digest = format!("[digest of {}]", tool.name);
        text = text.replace(&tool.digest.sha256, &digest);
    }
    match std::env::home_dir() {
        Some(home) if home.components().count() > 1 => {
            text.replace(home.to_string_lossy().as_ref(), "[home]")
        }
        _ => text,
    }
}
