//! What is published by a command of the user's, and how that is undone.

use synth_core::{
    Diagnostic, Effect, EffectPhase, EffectProcesses, Exec, Network, TargetSpec, Tool,
};

use crate::programs::Program;
use crate::settings::Settings;

/// A command of an effect.
#[derive(Clone, Debug)]
pub(crate) struct EffectCommand {
    pub(crate) setting: &'static str,
    pub(crate) program: Program,
    argv: Vec<String>,
}

/// The commands that are set, the one that publishes first; and what is wrong with them.
pub(crate) fn read(settings: &Settings) -> (Vec<EffectCommand>, Vec<Diagnostic>) {
    let (mut commands, mut problems) = (Vec::new(), Vec::new());
    for (setting, argv) in [
        ("publish_command", &settings.publish_command),
        ("undo_command", &settings.undo_command),
        ("check_command", &settings.check_command),
    ] {
        let Some(argv) = argv else { continue };
        if setting != "publish_command" && settings.publish_command.is_none() {
            let message = format!("`{setting}` is set, but there is no `publish_command`");
            let problem = Diagnostic::error("command.publish.none", message).at_setting([setting]);
            problems.push(problem.help("add the command that publishes, or leave it out"));
            continue;
        }
        match command(setting, argv) {
            Ok(command) => commands.push(command),
            Err(problem) => problems.push(problem),
        }
    }
    (commands, problems)
}

fn command(setting: &'static str, argv: &[String]) -> Result<EffectCommand, Diagnostic> {
    if let Some(index) = argv.iter().position(|argument| argument.contains('\0')) {
        let message = format!("an argument of `{setting}` holds a NUL character");
        return Err(Diagnostic::error("command.nul", message)
            .at_setting([setting, &index.to_string()])
            .help("an argument can't hold one"));
    }
    let Some(first) = argv.first() else {
        let message = format!("`{setting}` is empty");
        return Err(Diagnostic::error("command.empty", message)
            .at_setting([setting])
            .help("name a program and its arguments: `[\"make\", \"publish\"]`"));
    };
    let program = Program::parse(first).map_err(|problem| problem.at_setting([setting, "0"]))?;
    Ok(EffectCommand {
        setting,
        program,
        argv: argv.to_vec(),
    })
}

/// The effect of a target that has a `publish_command`.
pub(crate) fn effect(
    target: &TargetSpec,
    settings: &Settings,
    commands: &[EffectCommand],
    tools: &[Tool],
) -> Option<Effect> {
    let exec = |setting: &str| {
        let command = commands.iter().find(|command| command.setting == setting)?;
        Some(
            Exec::new(argv(target, command))
                .variables(target.environment.clone())
                .pass(settings.pass_environment.clone()),
        )
    };
    let processes = EffectProcesses {
        apply: exec("publish_command")?,
        undo: exec("undo_command"),
        check: exec("check_command"),
    };
    let description = format!("publish `{}` with its publish_command", target.name);
    let effect = Effect::new("publish", EffectPhase::Publish, description, processes);
    Some(Effect {
        needs: target.needs.clone(),
        tools: tools.to_vec(),
        network: Network::Allowed,
        timeout_seconds: settings.timeout_seconds,
        ..effect
    })
}

/// Program and arguments, a program of the sources relative to the project's root.
fn argv(target: &TargetSpec, command: &EffectCommand) -> Vec<String> {
    let mut argv = command.argv.clone();
    if let Some(first) = argv.first_mut() {
        *first = match &command.program {
            Program::Tool(request) => request.name.clone(),
            Program::Source(path) => match target.source_path.as_str() {
                "" => format!("./{path}"),
                directory => format!("./{directory}/{path}"),
            },
        };
    }
    argv
}
