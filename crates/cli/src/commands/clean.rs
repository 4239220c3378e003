//! `synth clean`.

use synth_engine::{BuildOptions, Loaded, Registry};

use super::{Outcome, load, print};
use crate::arguments::{Global, TargetArguments};
use crate::exit;
use crate::render::diagnostics;

pub(crate) fn run(global: &Global, arguments: &TargetArguments, linked: &Registry) -> Outcome {
    let Loaded {
        mut pipeline,
        registry,
        ..
    } = load(global, &[], linked)?;
    let names = &arguments.targets;
    if !names.is_empty() {
        // What a target needs is not cleaned with it.
        pipeline = pipeline.select(names)?;
        pipeline
            .targets
            .retain(|target| names.contains(&target.name));
    }
    let cleaned = synth_engine::clean(&pipeline, &registry, &BuildOptions::default())?;
    let removed = cleaned.removed;
    if !global.quiet {
        diagnostics::show(&cleaned.warnings, Some(&pipeline.root));
        for path in &removed {
            print(&format!("removed {path}"));
        }
        if removed.is_empty() {
            print("nothing to remove");
        }
    }
    Ok(exit::SUCCESS)
}
