//! `check`: what is wrong with a pipeline, and whether the machine has what its targets need.

use semver::Version;
use synth_core::{Diagnostic, PlanContext, Requirement, Tool, ToolError};

use crate::Registry;
use crate::build::default_store_directory;
use crate::config::Pipeline;
use crate::plans;
use crate::project::Project;

/// A tool that targets need, and what was found of it.
#[derive(Clone, Debug)]
pub struct ToolCheck {
    /// The targets that need it.
    pub targets: Vec<String>,
    /// What they need.
    pub requirement: Requirement,
    /// What was found.
    pub found: Result<Tool, ToolError>,
    /// Whether it does.
    pub satisfied: bool,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Problems of the targets.
    pub diagnostics: Vec<Diagnostic>,
    /// Each tool once, in the order of the targets.
    pub tools: Vec<ToolCheck>,
}

impl CheckReport {
    /// Tools that are needed and don't do.
    pub fn unsatisfied(&self) -> impl Iterator<Item = &ToolCheck> {
        self.tools
            .iter()
            .filter(|check| !check.satisfied && !check.requirement.optional)
    }
}

/// Checks every target of a pipeline and every tool it needs.
#[must_use]
pub fn check(pipeline: &Pipeline, registry: &Registry) -> CheckReport {
    let project = Project::new(pipeline, &default_store_directory());
    let mut report = CheckReport {
        diagnostics: plans::validate(pipeline, registry, project.as_ref()),
        tools: Vec::new(),
    };
    // Whether a target uses the output path that it was not told is known by its plan.
    let replaces = |name: &str| {
        let target = pipeline.target(name);
        let kind = target.and_then(|target| Some((target, registry.kind(&target.kind)?)));
        kind.and_then(|(target, kind)| kind.plan(target, project.as_ref()).ok())
            .is_some_and(|plan| !plan.in_place)
    };
    let paths = pipeline.default_path_problems(replaces);
    report.diagnostics.extend(paths.cloned());
    for target in &pipeline.targets {
        let Some(kind) = registry.kind(&target.kind) else {
            continue;
        };
        let requirements = kind.requirements(target, project.as_ref());
        let requirements = requirements.unwrap_or_else(|problem| {
            let problem = plans::located(pipeline, target, problem);
            // A kind that can't be used has said so when it validated the target.
            if !report.diagnostics.contains(&problem) {
                report.diagnostics.push(problem);
            }
            Vec::new()
        });
        for requirement in requirements {
            let known = report
                .tools
                .iter_mut()
                .find(|known| known.requirement == requirement);
            if let Some(known) = known {
                known.targets.push(target.name.clone());
                continue;
            }
            let found = project.tool(&requirement.tool);
            let satisfied = found
                .as_ref()
                .is_ok_and(|tool| is_enough(&requirement, tool));
            report.tools.push(ToolCheck {
                targets: vec![target.name.clone()],
                requirement,
                found,
                satisfied,
            });
        }
    }
    report
}

fn is_enough(requirement: &Requirement, tool: &Tool) -> bool {
    let Some(minimum) = &requirement.minimum_version else {
        return true;
    };
    match (tool.version().and_then(lenient), lenient(minimum)) {
        (Some(found), Some(minimum)) => found >= minimum,
        // A version that can't be read is no reason to refuse a tool that works.
        _ => true,
    }
}

/// A version with one to three numbers; what follows them is not compared.
fn lenient(text: &str) -> Option<Version> {
    let mut numbers = text.split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    });
    let first = numbers.next()??;
    let mut next = || numbers.next().flatten().unwrap_or(0);
    Some(Version::new(first, next(), next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        let version = |text| lenient(text).unwrap();
        assert!(version("20.10.24+dfsg1") >= version("20.10"));
        assert!(version("3.9") < version("3.10"));
        assert!(lenient("none").is_none());
    }
}
