//! `synth publish`, `synth deploy`, `synth rollback` and `synth recover`: what the last build has
//! proven goes into the world, and comes back.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use synth_core::{Diagnostic, EffectPhase};
use synth_engine::{
    Doing, EffectOptions, EffectReport, EffectState, EffectsReport, Loaded, PendingOutputs,
    Recovery, Registry, Transaction, unfinished,
};

use super::signals::Stoppable;
use super::{Kinds, Outcome, directory, load, print, print_json};
use crate::arguments::{
    Global, PublishArguments, RecoverArguments, ReportFormat, RollbackArguments,
};
use crate::render::progress::{Amount, Progress};
use crate::render::{diagnostics, tell};
use crate::{SANDBOX_HOST, exit};

/// `synth publish` and `synth deploy`.
pub(crate) fn publish(
    global: &Global,
    arguments: &PublishArguments,
    phase: EffectPhase,
    linked: &Kinds<'_>,
) -> Outcome {
    let loaded = load(global, &arguments.targets.targets, linked.get())?;
    if arguments.dry_run {
        let effects = synth_engine::planned_effects(&loaded.pipeline, &[phase])?;
        match arguments.format {
            ReportFormat::Json => print_json(&effects)?,
            ReportFormat::Human => print(&lines(&effects)),
        }
        return Ok(exit::SUCCESS);
    }
    let stoppable = begin(global)?;
    let applied = apply(global, &loaded, &[phase], arguments.yes, None, &stoppable);
    let root = &loaded.pipeline.root;
    finish(
        global,
        arguments.format,
        applied.map(Some),
        root,
        &stoppable,
    )
}

/// A command that carries out effects begins.
fn begin(global: &Global) -> Result<Stoppable, Vec<Diagnostic>> {
    let amount = match global.quiet {
        true => Amount::Quiet,
        false => Amount::Normal,
    };
    Stoppable::begin(super::runtime()?, amount)
}

/// Applies the effects of a pipeline that is proven.
pub(super) fn apply(
    global: &Global,
    loaded: &Loaded,
    phases: &[EffectPhase],
    yes: bool,
    transaction: Option<&Transaction>,
    stoppable: &Stoppable,
) -> Result<EffectsReport, Vec<Diagnostic>> {
    with_options(global, yes, transaction, stoppable, |options| {
        synth_engine::publish(&loaded.pipeline, &loaded.registry, phases, options)
    })
}

pub(crate) fn rollback(
    global: &Global,
    arguments: &RollbackArguments,
    linked: &Kinds<'_>,
) -> Outcome {
    let (root, registry) = workspace(global, linked)?;
    let stoppable = begin(global)?;
    let undone = with_options(global, true, None, &stoppable, |options| {
        synth_engine::rollback(&root, &registry, &arguments.build, options)
    });
    finish(
        global,
        arguments.format,
        undone.map(Some),
        &root,
        &stoppable,
    )
}

pub(crate) fn recover(
    global: &Global,
    arguments: &RecoverArguments,
    linked: &Kinds<'_>,
) -> Outcome {
    let (root, registry) = workspace(global, linked)?;
    let recovery = match (arguments.finish, arguments.undo, arguments.done_by_hand) {
        (true, ..) => Recovery::Finish,
        (_, true, _) => Recovery::Undo,
        (_, _, true) => Recovery::DoneByHand,
        _ => return open(arguments, &root),
    };
    let stoppable = begin(global)?;
    let recovered = with_options(global, arguments.yes, None, &stoppable, |options| {
        synth_engine::recover(&root, &registry, recovery, options)
    });
    if let Ok(Some(report)) = &recovered
        && report.effects.is_empty()
        && arguments.format == ReportFormat::Human
    {
        // It was about outputs alone.
        diagnostics::show(&report.diagnostics, Some(&root));
        return Ok(stoppable.signal().unwrap_or_else(|| code(report)));
    }
    finish(global, arguments.format, recovered, &root, &stoppable)
}

/// Says what is unfinished, and what could be done.
fn open(arguments: &RecoverArguments, root: &Path) -> Outcome {
    let Some(open) = unfinished(root)? else {
        return nothing_open(arguments.format);
    };
    if arguments.format == ReportFormat::Json {
        print_json(&open)?;
        return Ok(exit::UNFINISHED);
    }
    if open.report.effects.is_empty() {
        print(
            "a build was ended in the middle of putting outputs in place\n\n\
             `synth recover --undo`, or the next build, brings back what was there before it",
        );
        return Ok(exit::UNFINISHED);
    }
    let none_or = |names: &[String]| match names.is_empty() {
        true => "nothing".to_owned(),
        false => names.join(", "),
    };
    let finish = match &open.to_finish {
        Some(missing) => format!("`synth recover --finish` applies {}", none_or(missing)),
        None => "it was being undone".to_owned(),
    };
    print(&format!(
        "build {} is unfinished\n\n{}\n\n{finish}\n`synth recover --undo` undoes {}{}",
        open.report.build,
        lines(&open.report.effects),
        none_or(&open.to_undo),
        match open.outputs {
            None => "",
            Some(PendingOutputs::FollowEffects) =>
                "\noutputs stay when it is finished, and are as before it when it is undone",
            Some(PendingOutputs::TakenBack) => "\noutputs are going to be as before it",
        },
    ));
    Ok(exit::UNFINISHED)
}

fn nothing_open(format: ReportFormat) -> Outcome {
    match format {
        ReportFormat::Json => print_json(&serde_json::Value::Null)?,
        ReportFormat::Human => print("nothing is unfinished"),
    }
    Ok(exit::SUCCESS)
}

/// Where journals are, and the kinds that may have written into them: those that are linked in when
/// synth.toml can't be read any more.
fn workspace(global: &Global, linked: &Kinds<'_>) -> Result<(PathBuf, Registry), Vec<Diagnostic>> {
    match load(global, &[], linked.get()) {
        Ok(loaded) => Ok((loaded.pipeline.root, loaded.registry)),
        Err(problems) => {
            let root = directory(global)?;
            if !["journal", "undo"]
                .iter()
                .any(|left| root.join(".synth").join(left).is_dir())
            {
                return Err(problems);
            }
            Ok((root, linked.get().clone()))
        }
    }
}

fn with_options<T>(
    global: &Global,
    yes: bool,
    transaction: Option<&Transaction>,
    stoppable: &Stoppable,
    act: impl FnOnce(&EffectOptions<'_>) -> Result<T, Vec<Diagnostic>>,
) -> Result<T, Vec<Diagnostic>> {
    let quiet = global.quiet;
    let told = |doing: Doing, name: &str, description: &str| {
        let word = match doing {
            Doing::Applying => "applying",
            Doing::WaitingToApply => "again",
            Doing::AlreadyThere => "there",
            Doing::Undoing => "undoing",
        };
        if !quiet {
            tell(&format!("{word:>10} {name}: {description}"));
        }
    };
    act(&EffectOptions {
        runtime: stoppable.runtime.handle().clone(),
        stop: stoppable.stop.clone(),
        host: Some(super::host_program(SANDBOX_HOST)?),
        transaction,
        observer: Arc::<Progress>::clone(&stoppable.progress),
        tell: &told,
        confirm: &|effects| yes || agreed(effects, stoppable),
    })
}

/// Asks on a terminal; elsewhere nobody agrees.
fn agreed(effects: &[EffectReport], stoppable: &Stoppable) -> bool {
    let input = std::io::stdin();
    if !input.is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    let mut output = std::io::stderr();
    let question = format!("{}\nThis can't be undone. Go on? [y/N] ", lines(effects));
    if output
        .write_all(question.as_bytes())
        .and_then(|()| output.flush())
        .is_err()
    {
        return false;
    }
    // A signal ends the question: reading would go on until the end of the line.
    let (sender, answered) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        let read = input.lock().read_line(&mut answer);
        let _ = sender.send(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"));
    });
    stoppable.runtime.block_on(async {
        tokio::select! {
            biased;
            () = stoppable.stop.cancel.cancelled() => false,
            agreed = answered => agreed.unwrap_or(false),
        }
    })
}

/// Tells what a command came to; without a report there was nothing to recover. A signal that has ended
/// it says its exit code, whatever came of it.
fn finish(
    global: &Global,
    format: ReportFormat,
    done: Result<Option<EffectsReport>, Vec<Diagnostic>>,
    root: &Path,
    stoppable: &Stoppable,
) -> Outcome {
    let signal = stoppable.signal();
    let report = match (done, signal) {
        (Ok(Some(report)), _) => report,
        (Ok(None), _) => return nothing_open(format),
        (Err(problems), None) => return Err(problems),
        (Err(problems), Some(code)) => {
            diagnostics::show(&problems, Some(root));
            return Ok(code);
        }
    };
    match format {
        ReportFormat::Json => print_json(&report)?,
        ReportFormat::Human => show(global, &report, root),
    }
    Ok(signal.unwrap_or_else(|| code(&report)))
}

/// The exit code of effects.
pub(super) fn code(report: &EffectsReport) -> u8 {
    match (report.success, report.unfinished) {
        (true, _) => exit::SUCCESS,
        (false, true) => exit::UNFINISHED,
        (false, false) => exit::of_failures(report.diagnostics.iter()),
    }
}

pub(super) fn show(global: &Global, report: &EffectsReport, root: &Path) {
    diagnostics::show(&report.diagnostics, Some(root));
    if global.quiet {
        return;
    }
    if report.effects.is_empty() {
        return print("there is nothing to publish or deploy");
    }
    print(&format!(
        "{}\n\nbuild {}",
        lines(&report.effects),
        report.build
    ));
}

/// One line an effect.
fn lines(effects: &[EffectReport]) -> String {
    let line = |effect: &EffectReport| {
        let state = match effect.state {
            EffectState::Pending => "pending",
            EffectState::Applied => "applied",
            EffectState::AlreadyThere => "already there",
            EffectState::Failed => "failed",
            EffectState::Undone => "undone",
            EffectState::NotUndone => "not undone",
        };
        let irreversible = match effect.reversible {
            true => "",
            false => " (irreversible)",
        };
        let EffectReport {
            target,
            id,
            phase,
            description,
            ..
        } = effect;
        format!("{state:>13}  {phase} {target}: {id}  {description}{irreversible}")
    };
    effects.iter().map(line).collect::<Vec<_>>().join("\n")
}
