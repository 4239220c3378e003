//! `synth explain`.

use synth_core::Diagnostic;
use synth_engine::{BuildOptions, Loaded, Registry};

use super::{Outcome, host_program, load, print, print_json};
use crate::arguments::{ExplainArguments, Global, ReportFormat};
use crate::render::explanation;
use crate::{SANDBOX_HOST, exit};

pub(crate) fn run(global: &Global, arguments: &ExplainArguments, linked: &Registry) -> Outcome {
    let names = &arguments.targets.targets;
    let Loaded {
        pipeline, registry, ..
    } = load(global, names, linked)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            let problem = Diagnostic::error("internal", "no threads can be started");
            let problem = problem.concerning(synth_core::Concern::Internal);
            vec![problem.caused_by(&error)]
        })?;
    let options = BuildOptions {
        sandbox_host: Some(host_program(SANDBOX_HOST)?),
        ..BuildOptions::default()
    };
    let explained = runtime.block_on(synth_engine::explain(&pipeline, &registry, &options));
    let explained = explained.map_err(synth_engine::BuildError::into_diagnostics)?;
    let named = |name: &String| names.is_empty() || names.contains(name);
    let explained: Vec<_> = explained
        .into_iter()
        .filter(|explanation| named(&explanation.target))
        .collect();
    match arguments.format {
        ReportFormat::Json => print_json(&explained)?,
        ReportFormat::Human => print(&explanation::of_targets(&explained)),
    }
    Ok(exit::SUCCESS)
}
