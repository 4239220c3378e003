//! `synth build`.

use std::path::Path;
use std::sync::Arc;

use synth_core::{Diagnostic, EffectPhase};
use synth_engine::plugin::LOCK_FILE_NAME;
use synth_engine::{
    BuildOptions, BuildReport, BuildRequest, Earlier, EffectsReport, Loaded, Pipeline, Recording,
    SandboxMode, Transaction,
};

use super::signals::Stoppable;
use super::{
    Kinds, Outcome, directory, effects, host_program, load, load_options, plugin_options, print,
    print_json, recording, runtime,
};
use crate::arguments::{BuildArguments, Global, ReportFormat, SandboxArgument};
use crate::render::progress::{Amount, Progress};
use crate::render::{diagnostics, explanation, table};
use crate::{SANDBOX_HOST, exit};

pub(crate) fn run(global: &Global, arguments: &BuildArguments, linked: &Kinds<'_>) -> Outcome {
    let outcome = begin(global, arguments, linked);
    match outcome {
        // Whoever reads the report reads there why there was no build.
        Err(problems) if arguments.format == ReportFormat::Json => {
            let code = exit::of_problems(&problems);
            print_json(&BuildReport::not_begun(problems))?;
            Ok(code)
        }
        outcome => outcome,
    }
}

fn begin(global: &Global, arguments: &BuildArguments, linked: &Kinds<'_>) -> Outcome {
    // Which targets are affected is not known yet.
    let earlier = match arguments.affected {
        true => None,
        false => Earlier::look(&request(global, arguments)?),
    };
    // Images are loaded from what the pipeline says of them.
    let executes = arguments.no_cache || arguments.force || arguments.verify_reproducible;
    if let Some(earlier) = earlier
        .as_ref()
        .filter(|_| !executes && !loads(arguments) && phases(arguments).is_empty())
        && let Some(mut report) = earlier.nothing_to_do()
    {
        let warning = recording::idle(global, arguments, earlier.root(), &report);
        report.diagnostics.extend(warning);
        show(global, arguments, &report, earlier.root())?;
        return Ok(exit::SUCCESS);
    }
    let mut loaded = load(global, &arguments.targets.targets, linked.get())?;
    let runtime = runtime()?;
    if arguments.affected {
        let since = arguments.since.as_deref().unwrap_or("HEAD");
        let names = runtime.block_on(affected(global, &loaded, since))?;
        if names.is_empty() {
            return nothing_affected(global, arguments, &loaded, since);
        }
        loaded.pipeline = loaded.pipeline.select(&names)?;
    }
    let Loaded {
        pipeline, plugins, ..
    } = &loaded;
    for kind in plugins.pin(pipeline, linked.get())? {
        if !global.quiet {
            crate::render::tell(&format!(
                "{:>10} plugin `{kind}` in {LOCK_FILE_NAME}",
                "pinned"
            ));
        }
    }
    let amount = match (global.quiet, global.verbose) {
        (true, _) => Amount::Quiet,
        (false, true) => Amount::Verbose,
        (false, false) => Amount::Normal,
    };
    let stoppable = Stoppable::begin(runtime, amount)?;
    if !phases(arguments).is_empty() {
        synth_engine::check_unfinished(&loaded.pipeline.root)?;
    }
    // Its outputs stay when its effects have come about, and nobody else builds meanwhile.
    let transaction = (!phases(arguments).is_empty()).then(Arc::<Transaction>::default);
    let how = How {
        earlier,
        stoppable: &stoppable,
        transaction: transaction.clone(),
    };
    let recording = recording::begin(global, arguments, &loaded.pipeline);
    let built = match stoppable.runtime.block_on(build(arguments, &loaded, how)) {
        Ok(built) => built,
        Err(mut problems) => {
            let code = exit::of_problems(&problems);
            problems.extend(recording::not_begun(recording, code, false));
            return Err(problems);
        }
    };
    let course = Course {
        stoppable,
        transaction,
        recording,
    };
    conclude(global, arguments, &loaded, built, course)
}

/// What is to be done to the world after the build.
fn phases(arguments: &BuildArguments) -> Vec<EffectPhase> {
    let publish = arguments.publish.then_some(EffectPhase::Publish);
    let deploy = arguments.deploy.then_some(EffectPhase::Deploy);
    publish.into_iter().chain(deploy).collect()
}

/// What a build came to, and the exit code of the signal that ended it, if one did.
struct Built {
    report: Option<BuildReport>,
    signal: Option<u8>,
}

/// What a build rests on beside its arguments.
struct How<'a> {
    earlier: Option<Earlier>,
    stoppable: &'a Stoppable,
    transaction: Option<Arc<Transaction>>,
}

/// What lasts until a build and its effects are over.
struct Course {
    stoppable: Stoppable,
    transaction: Option<Arc<Transaction>>,
    recording: Recording,
}

/// Applies the effects of a build that succeeded, keeps it in the history, and reports.
fn conclude(
    global: &Global,
    arguments: &BuildArguments,
    loaded: &Loaded,
    built: Built,
    course: Course,
) -> Outcome {
    let Course {
        stoppable,
        transaction,
        recording,
    } = course;
    let transaction = transaction.as_deref();
    let root = &loaded.pipeline.root;
    let Some(mut report) = built.report else {
        let code = built.signal.unwrap_or(exit::FAILED);
        let warning = recording::not_begun(recording, code, built.signal.is_some());
        let warning = warning.filter(|_| !global.quiet);
        diagnostics::show(warning.as_slice(), Some(root));
        return Ok(code);
    };
    let phases = phases(arguments);
    let mut effects = None;
    let mut signal = built.signal;
    if report.success && signal.is_none() && !phases.is_empty() {
        let yes = arguments.yes;
        match effects::apply(global, loaded, &phases, yes, transaction, &stoppable) {
            Ok(applied) => {
                report.success = applied.success;
                report.effects.clone_from(&applied.effects);
                report.effects_build.clone_from(&applied.build);
                effects = Some(applied);
            }
            Err(problems) => {
                report.success = false;
                report.diagnostics.extend(problems);
            }
        }
        signal = stoppable.signal();
    }
    if let Some(transaction) = transaction {
        end(transaction, loaded, &mut report, effects.as_ref(), signal);
    }
    if let Some(effects) = &effects
        && arguments.format == ReportFormat::Json
    {
        report.diagnostics.extend(effects.diagnostics.clone());
    }
    let code = signal.unwrap_or_else(|| match (&effects, report.success) {
        (_, true) => exit::SUCCESS,
        (Some(effects), false) if !effects.success => effects::code(effects),
        (_, false) => exit::of_failures(problems_that_count(&report)),
    });
    let warning = recording.end(&report, Some(code), signal.is_some());
    report.diagnostics.extend(warning);
    show(global, arguments, &report, root)?;
    if let Some(effects) = &effects
        && arguments.format == ReportFormat::Human
    {
        effects::show(global, effects, root);
    }
    Ok(code)
}

/// What a build that failed has to say, without what is said of failures that are allowed.
fn problems_that_count(report: &BuildReport) -> impl Iterator<Item = &Diagnostic> {
    let counted = report
        .targets
        .iter()
        .filter(|target| !target.failure_allowed);
    let of_targets = counted.flat_map(|target| &target.diagnostics);
    report.diagnostics.iter().chain(of_targets)
}

/// Keeps what a build has put in place, or takes it back, as its effects have ended. While they are
/// unfinished neither: that is for `synth recover` to decide.
fn end(
    transaction: &Transaction,
    loaded: &Loaded,
    report: &mut BuildReport,
    effects: Option<&EffectsReport>,
    signal: Option<u8>,
) {
    let is_open = effects.is_some_and(|effects| effects.unfinished);
    let has_come_about = match effects {
        Some(effects) => effects.success,
        None => report.success && signal.is_none(),
    };
    if is_open {
        return;
    }
    if !has_come_about {
        return transaction.take_back(&loaded.pipeline, report);
    }
    if let Err(problem) = transaction.keep() {
        report.success &= !problem.is_error();
        report.diagnostics.push(problem);
    }
}

/// The targets that changes since a revision can reach.
async fn affected(
    global: &Global,
    loaded: &Loaded,
    since: &str,
) -> Result<Vec<String>, Vec<Diagnostic>> {
    let options = BuildOptions::default();
    let Loaded {
        pipeline, registry, ..
    } = loaded;
    let affected =
        synth_engine::affected(pipeline, registry, &load_options(global), &options, since).await;
    affected.map_err(synth_engine::BuildError::into_diagnostics)
}

fn nothing_affected(
    global: &Global,
    arguments: &BuildArguments,
    loaded: &Loaded,
    since: &str,
) -> Outcome {
    if arguments.format == ReportFormat::Json {
        print_json(&BuildReport {
            success: true,
            pipeline: loaded.pipeline.name.clone(),
            environment: loaded.pipeline.environment.clone(),
            ..BuildReport::not_begun(Vec::new())
        })?;
    } else if !global.quiet {
        print(&format!("no target is affected by changes since {since}"));
    }
    Ok(exit::SUCCESS)
}

/// What is asked for, as far as it decides what the build does.
fn request(global: &Global, arguments: &BuildArguments) -> Result<BuildRequest, Vec<Diagnostic>> {
    let directory = directory(global)?;
    Ok(BuildRequest {
        plugins: plugin_options(global, &directory)?,
        directory,
        options: load_options(global),
        targets: arguments.targets.targets.clone(),
        store: None,
        other: arguments
            .sandbox
            .iter()
            .map(|mode| format!("sandbox {mode:?}"))
            .collect(),
    })
}

/// The targets that are to be executed again: those that are named, or else all.
fn forced(arguments: &BuildArguments, pipeline: &Pipeline) -> Vec<String> {
    let named = &arguments.targets.targets;
    if !arguments.force {
        return Vec::new();
    }
    if !named.is_empty() {
        return named.clone();
    }
    let targets = pipeline.targets.iter();
    targets.map(|target| target.name.clone()).collect()
}

/// Whether images are to be loaded afterwards.
fn loads(arguments: &BuildArguments) -> bool {
    #[cfg(feature = "docker")]
    return arguments.load;
    #[cfg(not(feature = "docker"))]
    {
        let _ = arguments;
        false
    }
}

/// What tells of the jobserver of a make that runs synth, or of a Cargo whose build script does.
fn make_flags() -> Option<std::ffi::OsString> {
    ["MAKEFLAGS", "CARGO_MAKEFLAGS"]
        .into_iter()
        .find_map(std::env::var_os)
}

fn sandbox_mode(argument: SandboxArgument) -> SandboxMode {
    match argument {
        SandboxArgument::Strict => SandboxMode::Strict,
        SandboxArgument::Warn => SandboxMode::Warn,
        SandboxArgument::Off => SandboxMode::Off,
    }
}

async fn build(
    arguments: &BuildArguments,
    loaded: &Loaded,
    how: How<'_>,
) -> Result<Built, Vec<Diagnostic>> {
    let Loaded {
        pipeline,
        registry,
        watched,
        ..
    } = loaded;
    let stoppable = how.stoppable;
    let options = BuildOptions {
        jobs: arguments.jobs,
        memory: arguments.memory,
        make_flags: make_flags(),
        use_cache: !arguments.no_cache,
        force: forced(arguments, pipeline),
        verify_reproducible: arguments.verify_reproducible,
        sandbox: arguments.sandbox.map(sandbox_mode),
        sandbox_host: Some(host_program(SANDBOX_HOST)?),
        cancel: stoppable.stop.cancel.clone(),
        kill: stoppable.stop.kill.clone(),
        observer: Arc::<Progress>::clone(&stoppable.progress),
        keep_failed: arguments.keep_temp,
        transaction: how.transaction,
        earlier: how.earlier.map(Arc::new),
        watched: watched.clone(),
        ..BuildOptions::default()
    };
    #[cfg_attr(
        not(feature = "docker"),
        expect(unused_mut, reason = "only loading changes it")
    )]
    let mut report = match synth_engine::build(pipeline, registry, &options).await {
        Ok(report) => report,
        Err(error) => {
            let signal = stoppable.signal();
            return match signal {
                Some(_) => Ok(Built {
                    report: None,
                    signal,
                }),
                None => Err(error.into_diagnostics()),
            };
        }
    };
    #[cfg(feature = "docker")]
    if arguments.load
        && report.success
        && let Err(problem) = super::load::images(&report, pipeline, &options.cancel).await
    {
        report.success = false;
        report.diagnostics.push(problem);
    }
    Ok(Built {
        report: Some(report),
        signal: stoppable.signal(),
    })
}

fn show(
    global: &Global,
    arguments: &BuildArguments,
    report: &BuildReport,
    root: &Path,
) -> Result<(), Vec<Diagnostic>> {
    if arguments.format == ReportFormat::Json {
        return print_json(report);
    }
    let mut shown = report.diagnostics.clone();
    if global.quiet {
        shown.retain(Diagnostic::is_error);
    }
    diagnostics::show(&shown, Some(root));
    for target in &report.targets {
        let mut shown = target.clone();
        if global.quiet {
            shown.diagnostics.retain(Diagnostic::is_error);
            shown.actions.retain(|action| !action.flaky);
        }
        table::show_target(&shown, root);
        if global.verbose {
            for action in &target.actions {
                if let Some(log) = &action.log {
                    crate::render::tell(&format!(
                        "{:>10} {}: {}: {log}",
                        "log", target.name, action.id
                    ));
                }
            }
        }
    }
    if arguments.explain {
        let reasons = explanation::of_report(report);
        if !reasons.is_empty() {
            print(&format!("{reasons}\n"));
        }
    }
    if !global.quiet {
        print(&format!(
            "{}\n\n{}",
            table::of_report(report, global.verbose),
            table::summary(report)
        ));
    }
    Ok(())
}
