//! `synth plan`: what a build consists of, as a tree, a graph or JSON.

use std::fmt::Write;

use serde::Serialize;
use synth_core::{Action, ActionKind, InputSource, Plan};
use synth_engine::{Loaded, Pipeline, Registry, plan_pipeline};

use super::{Outcome, load, print, print_json};
use crate::arguments::{Global, PlanArguments, PlanFormat};
use crate::exit;
use crate::render::diagnostics;

/// The JSON form.
#[derive(Serialize)]
struct PlanReport<'a> {
    version: u32,
    pipeline: &'a str,
    targets: Vec<TargetPlan<'a>>,
}

#[derive(Serialize)]
struct TargetPlan<'a> {
    name: &'a str,
    kind: &'a str,
    output_path: &'a str,
    needs: &'a [String],
    plan: &'a Plan,
}

pub(crate) fn run(global: &Global, arguments: &PlanArguments, linked: &Registry) -> Outcome {
    let Loaded {
        pipeline, registry, ..
    } = load(global, &arguments.targets.targets, linked)?;
    let plans = plan_pipeline(&pipeline, &registry)?;
    if !global.quiet {
        diagnostics::show(&pipeline.warnings, Some(&pipeline.root));
        for plan in &plans {
            diagnostics::show(&plan.warnings, Some(&pipeline.root));
        }
    }
    match arguments.format {
        PlanFormat::Tree => print(&tree(&pipeline, &plans)),
        PlanFormat::Dot => print(&dot(&pipeline, &plans)),
        PlanFormat::Json => print_json(&report(&pipeline, &plans))?,
    }
    Ok(exit::SUCCESS)
}

fn report<'a>(pipeline: &'a Pipeline, plans: &'a [Plan]) -> PlanReport<'a> {
    PlanReport {
        version: 1,
        pipeline: &pipeline.name,
        targets: pipeline
            .targets
            .iter()
            .zip(plans)
            .map(|(target, plan)| TargetPlan {
                name: &target.name,
                kind: &target.kind,
                output_path: target.output_path.as_str(),
                needs: &target.needs,
                plan,
            })
            .collect(),
    }
}

fn tree(pipeline: &Pipeline, plans: &[Plan]) -> String {
    let mut text = format!("{}\n", pipeline.name);
    let last_target = plans.len().saturating_sub(1);
    for (index, (target, plan)) in pipeline.targets.iter().zip(plans).enumerate() {
        let (branch, stem) = branches(index == last_target);
        let needs = if target.needs.is_empty() {
            String::new()
        } else {
            format!(", needs {}", target.needs.join(", "))
        };
        let (name, kind) = (&target.name, &target.kind);
        let output = if plan.exports.is_empty() {
            String::new()
        } else if plan.in_place {
            format!(" -> {} (in place)", target.source_path)
        } else {
            format!(" -> {}", target.output_path)
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{branch} {name} ({kind}{needs}){output}");
        let last_action = plan.actions.len().saturating_sub(1);
        for (index, action) in plan.actions.iter().enumerate() {
            let (branch, _) = branches(index == last_action);
            let _ = writeln!(
                text,
                "{stem} {branch} {:<9} {}: {}{}",
                action.phase.to_string(),
                action.id,
                action.description,
                how(action)
            );
        }
    }
    text.trim_end().to_owned()
}

fn branches(is_last: bool) -> (&'static str, &'static str) {
    if is_last {
        ("└─", "  ")
    } else {
        ("├─", "│ ")
    }
}

/// The command of a process, and whether it uses the network.
fn how(action: &Action) -> String {
    let mut text = String::new();
    if action.network == synth_core::Network::Allowed {
        text.push_str(" [network]");
    }
    if let ActionKind::Exec(exec) = &action.kind {
        /// A longer command is cut: `--format json` has all of it.
        const MOST_CHARACTERS: usize = 60;
        let command = exec.argv.join(" ").replace('\n', " ");
        let cut: String = command.chars().take(MOST_CHARACTERS).collect();
        let more = if cut.len() < command.len() { ".." } else { "" };
        let _ = write!(text, "  $ {cut}{more}");
    }
    text
}

fn dot(pipeline: &Pipeline, plans: &[Plan]) -> String {
    let mut text = "digraph synth {\n  rankdir = LR;\n  node [shape = box];\n".to_owned();
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let node = |target: &str, action: &str| quote(&format!("{target}.{action}"));
    let mut edges = String::new();
    for (index, (target, plan)) in pipeline.targets.iter().zip(plans).enumerate() {
        let _ = writeln!(
            text,
            "  subgraph cluster_{index} {{\n    label = {};",
            quote(&target.name)
        );
        for action in &plan.actions {
            let to = node(&target.name, &action.id);
            let _ = writeln!(text, "    {to} [label = {}];", quote(&action.description));
            let mut befores: Vec<&str> = action.after.iter().map(String::as_str).collect();
            for input in &action.inputs {
                match &input.from {
                    InputSource::Output { action, .. } => befores.push(action),
                    InputSource::Target { name } => {
                        for export in exports(pipeline, plans, name) {
                            let _ = writeln!(edges, "  {} -> {to};", node(name, export));
                        }
                    }
                    _ => {}
                }
            }
            befores.sort_unstable();
            befores.dedup();
            for before in befores {
                let _ = writeln!(edges, "  {} -> {to};", node(&target.name, before));
            }
        }
        text.push_str("  }\n");
    }
    format!("{text}{edges}}}")
}

/// The actions whose outputs a target exports.
fn exports<'a>(pipeline: &Pipeline, plans: &'a [Plan], target: &str) -> Vec<&'a str> {
    let mut actions: Vec<&str> = pipeline
        .targets
        .iter()
        .zip(plans)
        .filter(|(other, _)| other.name == target)
        .flat_map(|(_, plan)| plan.exports.iter().map(|export| export.action.as_str()))
        .collect();
    actions.sort_unstable();
    actions.dedup();
    actions
}
