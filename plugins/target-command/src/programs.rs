//! Programs that a command runs: where each is looked for, and what a person is told when it is
//! written as only a shell would understand it.

use std::collections::BTreeMap;

use synth_core::{
    Concern, Diagnostic, PathError, PlanContext, ProjectPath, Requirement, Tool, ToolRequest,
};

use crate::settings::Settings;

/// A program, by how it is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// One of the machine: a name on the `PATH`, or an absolute path.
    Tool(ToolRequest),
    /// A file of the sources, relative to the source directory.
    Source(ProjectPath),
}

impl Program {
    /// What a first argument means.
    pub(crate) fn parse(text: &str) -> Result<Self, Diagnostic> {
        let wrong = |message: String| Diagnostic::error("command.program", message);
        if text.trim().is_empty() {
            return Err(wrong("the program has no name".into())
                .help("name a program and its arguments: `[\"make\", \"all\"]`"));
        }
        if text.starts_with('/') {
            let name = text.rsplit('/').next().unwrap_or_default();
            if name.is_empty() {
                let message = format!("`{text}` is a directory, not a program");
                return Err(wrong(message).help("name the program in it"));
            }
            return Ok(Self::Tool(request(name).program(text)));
        }
        if !text.contains('/') {
            return Ok(Self::Tool(request(text)));
        }
        match ProjectPath::parse(text) {
            Ok(path) if path.is_root() => Err(wrong(format!(
                "`{text}` is the source directory, not a program"
            ))),
            Ok(path) => Ok(Self::Source(path)),
            Err(PathError::Leaves(_)) => Err(wrong(format!(
                "`{text}` lies outside of the source directory"
            ))
            .help("set `source_path` to a directory that holds both, and narrow `inputs` down")),
            Err(error) => Err(wrong(error.to_string())),
        }
    }
}

/// Programs are not asked for their version: not every one knows `--version`, and their bytes
/// tell as much.
fn request(name: &str) -> ToolRequest {
    ToolRequest::named(name).version_arguments::<String>([])
}

/// The programs of `tools`, each with its place, and what is wrong with the others.
pub(crate) fn tools(names: &[String]) -> (Vec<(Program, Vec<String>)>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let place = vec!["tools".to_owned(), index.to_string()];
        match Program::parse(name) {
            Ok(program @ Program::Tool(_)) => found.push((program, place)),
            Ok(Program::Source(_)) => {
                let message = format!("`{name}` is a path below the source directory");
                problems.push(
                    Diagnostic::error("command.tools", message)
                        .at_setting(place)
                        .help("a program among the sources is an input: name it in `inputs`"),
                );
            }
            Err(problem) => problems.push(problem.at_setting(place)),
        }
    }
    (found, problems)
}

/// Looks for programs; each once.
pub(crate) fn find(
    programs: &[(&Program, Vec<String>)],
    context: &dyn PlanContext,
) -> Result<Vec<Tool>, Vec<Diagnostic>> {
    let mut tools: BTreeMap<String, Tool> = BTreeMap::new();
    let mut problems = Vec::new();
    for (program, place) in programs {
        let Program::Tool(request) = program else {
            continue;
        };
        match context.tool(request) {
            Err(error) => {
                let help = how_to_get(&request.program);
                let problem = Diagnostic::error("command.tool.missing", error.to_string());
                let problem = problem
                    .concerning(Concern::Environment)
                    .at_setting(place.clone());
                problems.push(help.into_iter().fold(problem, Diagnostic::help));
            }
            Ok(tool) => match tools.get(&tool.name) {
                Some(known) if known.path != tool.path => {
                    let message = format!(
                        "two programs are called `{}`: `{}` and `{}`",
                        tool.name,
                        known.path.display(),
                        tool.path.display()
                    );
                    let problem = Diagnostic::error("command.tools", message);
                    problems.push(problem.at_setting(place.clone()).help("name one of them"));
                }
                _ => {
                    tools.insert(tool.name.clone(), tool);
                }
            },
        }
    }
    if problems.is_empty() {
        Ok(tools.into_values().collect())
    } else {
        Err(problems)
    }
}

fn how_to_get(program: &str) -> Vec<String> {
    let mut help = Vec::new();
    if program.contains(char::is_whitespace) {
        let words: Vec<String> = program
            .split_whitespace()
            .map(|word| format!("{word:?}"))
            .collect();
        help.push(format!(
            "each argument is an element of its own: `[{}]`",
            words.join(", ")
        ));
    }
    help.push(format!(
        "install `{program}`, or see that it is on the `PATH`"
    ));
    help
}

/// The programs as `synth check` wants to know them.
pub(crate) fn requirements(programs: &[&Program]) -> Vec<Requirement> {
    let requests = programs.iter().filter_map(|program| match program {
        Program::Tool(request) => Some(request),
        Program::Source(_) => None,
    });
    requests
        .map(|request| Requirement {
            tool: request.clone(),
            minimum_version: None,
            purpose: "runs commands".into(),
            how_to_get: how_to_get(&request.program).join("; "),
            optional: false,
        })
        .collect()
}

/// Arguments that only a shell would understand.
pub(crate) fn shell_words(settings: &Settings) -> Vec<Diagnostic> {
    const WORDS: [&str; 10] = ["&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1", "2>"];
    let arguments = settings.command.iter().flatten().enumerate();
    // What is handed to a shell, as in `["sh", "-c", ".."]`, is read by one.
    let found = arguments.filter(|(_, argument)| WORDS.contains(&argument.as_str()));
    let warnings = found.map(|(index, argument)| {
        let message = format!("`{argument}` is handed to the program: no shell reads `command`");
        Diagnostic::warning("command.shell.word", message)
            .at_setting(["command".to_owned(), index.to_string()])
            .help("write the line as a `script`")
    });
    warnings.collect()
}
