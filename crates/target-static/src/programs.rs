//! The programs that commands run: which are needed, how they are asked for their version and
//! where they come from.

use synth_core::{Diagnostic, PlanContext, Requirement, Tool, ToolRequest};

use crate::command::Command;

/// A program that builds sites, or fetches what builds them.
struct Known {
    name: &'static str,
    /// What makes it say its version.
    version: &'static str,
    /// Another program that it is run by.
    runs_on: Option<&'static str>,
    how_to_get: &'static str,
}

const NODE: &str = "install Node.js: https://nodejs.org, or your system's package `nodejs`";
const NPM: &str = "it comes with Node.js: https://nodejs.org, or your system's package `npm`";
const NPM_PACKAGE: &str = "install Node.js, then run `corepack enable`";
const PYTHON: &str = "install Python 3: https://python.org, or your system's package `python3`";

const KNOWN: [Known; 24] = [
    known("node", NODE),
    on_node("npm", NPM),
    on_node("npx", NPM),
    on_node("corepack", NPM),
    on_node("yarn", NPM_PACKAGE),
    on_node("pnpm", NPM_PACKAGE),
    known("bun", "https://bun.sh, or `npm install --global bun`"),
    known("deno", "https://deno.com"),
    known("python3", PYTHON),
    known("python", PYTHON),
    known("pip", PYTHON),
    known("uv", "`pip install uv`, or https://docs.astral.sh/uv"),
    known("mkdocs", "`pip install mkdocs`"),
    known("zensical", "`pip install zensical`"),
    known("sphinx-build", "`pip install sphinx`"),
    known("pelican", "`pip install pelican`"),
    asked(
        "hugo",
        "version",
        "https://gohugo.io/installation, or your system's package `hugo`",
    ),
    known("zola", "https://www.getzola.org, or `cargo install zola`"),
    known("mdbook", "`cargo install mdbook`"),
    known("jekyll", "`gem install jekyll`"),
    known("bundle", "`gem install bundler`"),
    asked("go", "version", "https://go.dev/dl"),
    known("make", "your system's package `make`"),
    known("pandoc", "https://pandoc.org/installing.html"),
];

const fn known(name: &'static str, how_to_get: &'static str) -> Known {
    asked(name, "--version", how_to_get)
}

const fn asked(name: &'static str, version: &'static str, how_to_get: &'static str) -> Known {
    Known {
        name,
        version,
        runs_on: None,
        how_to_get,
    }
}

const fn on_node(name: &'static str, how_to_get: &'static str) -> Known {
    Known {
        name,
        version: "--version",
        runs_on: Some("node"),
        how_to_get,
    }
}

/// A program of a command, and the setting that the command is in.
struct Wanted<'a> {
    name: &'a str,
    setting: &'static str,
    /// A build can't do without it. Not so a word in a shell's line that may be a function.
    certain: bool,
}

/// The tools of a command in the setting of that name.
///
/// # Errors
/// One diagnostic for each program that is missing or does not work.
pub(crate) fn tools(
    command: &Command,
    setting: &'static str,
    context: &dyn PlanContext,
) -> Result<Vec<Tool>, Vec<Diagnostic>> {
    let mut tools = Vec::new();
    let mut problems = Vec::new();
    for wanted in wanted(command, setting) {
        match context.tool(&request(wanted.name)) {
            Ok(tool) => tools.push(tool),
            Err(_) if !wanted.certain => {}
            Err(error) => problems.push(missing(&wanted, &error, command)),
        }
    }
    if problems.is_empty() {
        Ok(tools)
    } else {
        Err(problems)
    }
}

/// The same programs, for `synth check`.
pub(crate) fn requirements(
    command: &Command,
    setting: &'static str,
    purpose: &str,
) -> Vec<Requirement> {
    let certain = wanted(command, setting)
        .into_iter()
        .filter(|wanted| wanted.certain);
    certain
        .map(|wanted| Requirement {
            tool: request(wanted.name),
            minimum_version: None,
            purpose: format!("{purpose} (`{}`)", command.display()),
            how_to_get: how_to_get(wanted.name),
            optional: false,
        })
        .collect()
}

fn wanted<'a>(command: &'a Command, setting: &'static str) -> Vec<Wanted<'a>> {
    let mut names: Vec<(&'a str, bool)> = Vec::new();
    if let Some(program) = command.program()
        && !is_project_file(program)
    {
        names.push((program, true));
    }
    for program in command.programs_in_shell() {
        names.push((program, find(program).is_some()));
    }
    let companions: Vec<&'static str> = names
        .iter()
        .filter_map(|(name, _)| find(name).and_then(|known| known.runs_on))
        .collect();
    names.extend(companions.into_iter().map(|name| (name, true)));
    let mut wanted: Vec<Wanted<'a>> = Vec::new();
    for (name, certain) in names {
        if wanted.iter().all(|other| other.name != name) {
            wanted.push(Wanted {
                name,
                setting,
                certain,
            });
        }
    }
    wanted
}

/// Whether a command's first word is a file of the project: `./build.sh`, `tools/build`.
pub(crate) fn is_project_file(program: &str) -> bool {
    program.contains('/') && !program.starts_with('/')
}

/// The name that an action calls a program by.
pub(crate) fn tool_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

fn find(program: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == tool_name(program))
}

fn request(program: &str) -> ToolRequest {
    let request = ToolRequest::named(tool_name(program)).program(program);
    match find(program) {
        Some(known) => request.version_arguments([known.version]),
        // Its digest tells it apart; asking an unknown program may do anything.
        None => request.version_arguments(Vec::<String>::new()),
    }
}

fn how_to_get(program: &str) -> String {
    find(program).map_or_else(
        || format!("install `{program}` and put it on your PATH"),
        |known| known.how_to_get.to_owned(),
    )
}

fn missing(wanted: &Wanted<'_>, error: &dyn std::error::Error, command: &Command) -> Diagnostic {
    let diagnostic = Diagnostic::error(
        "static.tool.missing",
        format!("`{}` runs `{}`: {error}", command.display(), wanted.name),
    )
    .concerning(synth_core::Concern::Environment)
    .at_setting([wanted.setting])
    .help(how_to_get(wanted.name));
    if find(wanted.name).is_some() {
        return diagnostic;
    }
    diagnostic.help(format!(
        "a program of a Node package is run with `npx {}`",
        command.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_line_needs_the_programs_it_is_known_to_run() {
        let line = Command::Shell("npm run build && frobnicate dist".into());
        let names: Vec<(&str, bool)> = wanted(&line, "build_command")
            .iter()
            .map(|wanted| (wanted.name, wanted.certain))
            .collect();
        let expected = [
            ("sh", true),
            ("npm", true),
            ("frobnicate", false),
            ("node", true),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_file_of_the_project_is_no_tool() {
        let command = Command::Arguments(vec!["./build.sh".into()]);
        assert!(wanted(&command, "build_command").is_empty());
    }
}
