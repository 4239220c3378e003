//! `synth check`: the configuration, the targets, and each tool with the version found and the
//! version needed.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use synth_core::Diagnostic;
use synth_engine::{CheckReport, Loaded, Registry, ToolCheck};

use super::{Outcome, load, print, print_json};
use crate::arguments::{CheckArguments, Global, ReportFormat};
use crate::exit;
use crate::render::diagnostics;

/// The JSON form.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    diagnostics: &'a [Diagnostic],
    tools: Vec<ToolReport<'a>>,
}

#[derive(Serialize)]
struct ToolReport<'a> {
    name: &'a str,
    targets: &'a [String],
    purpose: &'a str,
    optional: bool,
    minimum_version: Option<&'a str>,
    found_version: Option<&'a str>,
    path: Option<String>,
    satisfied: bool,
    problem: Option<String>,
    how_to_get: &'a str,
}

pub(crate) fn run(global: &Global, arguments: &CheckArguments, linked: &Registry) -> Outcome {
    let Loaded {
        pipeline, registry, ..
    } = load(global, &arguments.targets.targets, linked)?;
    let mut report = synth_engine::check(&pipeline, &registry);
    report.diagnostics.extend(pipeline.warnings.clone());
    if arguments.format == ReportFormat::Json {
        print_json(&Report {
            version: 1,
            diagnostics: &report.diagnostics,
            tools: report.tools.iter().map(tool_report).collect(),
        })?;
    } else {
        diagnostics::show(&report.diagnostics, Some(&pipeline.root));
        show_tools(global, &report);
    }
    if report.diagnostics.iter().any(Diagnostic::is_error) {
        return Ok(exit::of_problems(&report.diagnostics));
    }
    let missing = report.unsatisfied().count();
    if arguments.format == ReportFormat::Human && !global.quiet {
        let targets = pipeline.targets.len();
        print(&match missing {
            0 => format!("{targets} targets can be built"),
            1 => "1 tool is missing".to_owned(),
            count => format!("{count} tools are missing"),
        });
    }
    Ok(if missing == 0 {
        exit::SUCCESS
    } else {
        exit::TOOL_MISSING
    })
}

fn show_tools(global: &Global, report: &CheckReport) {
    if !report.tools.is_empty() && !global.quiet {
        let mut table = Table::new();
        table
            .load_preset(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(["tool", "found", "needed", "for", "targets"]);
        for check in &report.tools {
            let requirement = &check.requirement;
            let needed = requirement.minimum_version.as_ref();
            let needed = needed.map_or_else(|| "any".to_owned(), |version| format!(">= {version}"));
            let optional = if requirement.optional {
                " (optional)"
            } else {
                ""
            };
            table.add_row([
                requirement.tool.name.clone(),
                found(check),
                format!("{needed}{optional}"),
                requirement.purpose.clone(),
                check.targets.join(", "),
            ]);
        }
        let lines: Vec<String> = table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        print(&format!("{}\n", lines.join("\n")));
    }
    for check in report.unsatisfied() {
        let name = &check.requirement.tool.name;
        let problem = match &check.found {
            Ok(_) => Diagnostic::error(
                "tool.too_old",
                format!("`{name}` is too old: {}", found(check)),
            ),
            Err(error) => Diagnostic::error("tool.missing", error.to_string()),
        };
        let problem = problem.help(check.requirement.how_to_get.clone());
        diagnostics::show(&[problem], None);
    }
}

fn found(check: &ToolCheck) -> String {
    match &check.found {
        Ok(tool) => tool.version().unwrap_or("yes").to_owned(),
        Err(synth_core::ToolError::Missing { .. }) => "no".to_owned(),
        Err(_) => "does not work".to_owned(),
    }
}

fn tool_report(check: &ToolCheck) -> ToolReport<'_> {
    let tool = check.found.as_ref().ok();
    ToolReport {
        name: &check.requirement.tool.name,
        targets: &check.targets,
        purpose: &check.requirement.purpose,
        optional: check.requirement.optional,
        minimum_version: check.requirement.minimum_version.as_deref(),
        found_version: tool.and_then(|tool| tool.version()),
        path: tool.map(|tool| tool.path.display().to_string()),
        satisfied: check.satisfied,
        problem: check.found.as_ref().err().map(ToString::to_string),
        how_to_get: &check.requirement.how_to_get,
    }
}
