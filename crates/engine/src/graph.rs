//! Which target needs which: names resolved, cycles found, an order that respects both. Knows
//! nothing of actions.

use std::collections::{BTreeMap, BTreeSet};

use synth_core::{Diagnostic, TargetSpec};

use crate::config::{Pipeline, list, nearest};
use crate::executor::environment::output_variable;

/// The targets of a pipeline by their index, and what each needs.
#[derive(Clone, Debug)]
pub struct TargetGraph {
    names: Vec<String>,
    needs: Vec<Vec<usize>>,
    order: Vec<usize>,
}

/// Everything that is wrong with `needs`.
#[derive(Clone, Debug)]
pub struct GraphError {
    problems: Vec<GraphProblem>,
}

#[derive(Clone, Debug)]
enum GraphProblem {
    Duplicate {
        name: String,
    },
    Unknown {
        target: String,
        index: usize,
        name: String,
        known: Vec<String>,
    },
    SameVariable {
        target: String,
        index: usize,
        names: [String; 2],
    },
    Cycle {
        path: Vec<String>,
    },
}

impl TargetGraph {
    /// Resolves the names of `needs`.
    ///
    /// # Errors
    /// Names that several targets have, names that none has, and cycles: all of them.
    pub fn new(targets: &[TargetSpec]) -> Result<Self, GraphError> {
        let mut problems = Vec::new();
        let mut indices: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, target) in targets.iter().enumerate() {
            if indices.insert(&target.name, index).is_some() {
                problems.push(GraphProblem::Duplicate {
                    name: target.name.clone(),
                });
            }
        }
        let mut needs = vec![Vec::new(); targets.len()];
        for (index, target) in targets.iter().enumerate() {
            for (position, name) in target.needs.iter().enumerate() {
                if let Some(other) = target.needs[..position]
                    .iter()
                    .find(|other| *other != name && output_variable(other) == output_variable(name))
                {
                    problems.push(GraphProblem::SameVariable {
                        target: target.name.clone(),
                        index: position,
                        names: [other.clone(), name.clone()],
                    });
                }
                match indices.get(name.as_str()) {
                    Some(needed) => needs[index].push(*needed),
                    None => problems.push(GraphProblem::Unknown {
                        target: target.name.clone(),
                        index: position,
                        name: name.clone(),
                        known: targets.iter().map(|target| target.name.clone()).collect(),
                    }),
                }
            }
        }
        let mut search = Search {
            needs: &needs,
            state: vec![Visit::New; targets.len()],
            path: Vec::new(),
            order: Vec::new(),
            cycles: Vec::new(),
        };
        for index in 0..targets.len() {
            search.visit(index);
        }
        let name = |index: &usize| targets[*index].name.clone();
        problems.extend(search.cycles.iter().map(|cycle| GraphProblem::Cycle {
            path: cycle.iter().map(name).collect(),
        }));
        let order = search.order;
        if problems.is_empty() {
            Ok(Self {
                names: targets.iter().map(|target| target.name.clone()).collect(),
                needs,
                order,
            })
        } else {
            Err(GraphError { problems })
        }
    }

    /// The targets' indices, each after those it needs.
    #[must_use]
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// What a target needs directly.
    #[must_use]
    pub fn needs(&self, index: usize) -> &[usize] {
        &self.needs[index]
    }

    /// The named targets and everything they need.
    #[must_use]
    pub fn with_needs(&self, names: &[String]) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = (0..self.names.len())
            .filter(|index| names.contains(&self.names[*index]))
            .collect();
        while let Some(index) = open.pop() {
            if found.insert(index) {
                open.extend(&self.needs[index]);
            }
        }
        found
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    New,
    OnPath,
    Done,
}

/// A depth-first search for an order and for cycles.
struct Search<'a> {
    needs: &'a [Vec<usize>],
    state: Vec<Visit>,
    path: Vec<usize>,
    order: Vec<usize>,
    cycles: Vec<Vec<usize>>,
}

impl Search<'_> {
    fn visit(&mut self, index: usize) {
        match self.state[index] {
            Visit::Done => {}
            Visit::OnPath => {
                let start = self.path.iter().position(|on_path| *on_path == index);
                let mut cycle = self.path[start.unwrap_or_default()..].to_vec();
                cycle.push(index);
                self.cycles.push(cycle);
            }
            Visit::New => {
                self.state[index] = Visit::OnPath;
                self.path.push(index);
                for needed in &self.needs[index] {
                    self.visit(*needed);
                }
                self.path.pop();
                self.state[index] = Visit::Done;
                self.order.push(index);
            }
        }
    }
}

impl GraphError {
    /// One diagnostic for each problem, at its place in the pipeline's file.
    #[must_use]
    pub fn into_diagnostics(self, pipeline: &Pipeline) -> Vec<Diagnostic> {
        self.problems
            .into_iter()
            .map(|problem| problem.diagnostic(pipeline))
            .collect()
    }
}

impl GraphProblem {
    fn diagnostic(self, pipeline: &Pipeline) -> Diagnostic {
        match self {
            Self::Duplicate { name } => {
                let problem = Diagnostic::error(
                    "config.targets.duplicate",
                    format!("there are two targets of the name `{name}`"),
                )
                .at_setting(Vec::<String>::new())
                .help("give one of them another name");
                pipeline.locate(&name, problem)
            }
            Self::Unknown {
                target,
                index,
                name,
                known,
            } => {
                let known: Vec<&str> = known
                    .iter()
                    .map(String::as_str)
                    .filter(|known| *known != target)
                    .collect();
                let problem = Diagnostic::error(
                    "config.needs.unknown",
                    format!("target `{target}` needs `{name}`, which is no target"),
                )
                .at_setting(["needs".to_owned(), index.to_string()]);
                let problem = match nearest(&name, known.iter().copied()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None if known.is_empty() => problem,
                    None => problem.help(format!("targets: {}", list(&known))),
                };
                pipeline.locate(&target, problem)
            }
            Self::SameVariable {
                target,
                index,
                names: [one, other],
            } => {
                let variable = output_variable(&other);
                let problem = Diagnostic::error(
                    "config.needs.variable",
                    format!("target `{target}` needs `{one}` and `{other}`, whose outputs would both be `{variable}`"),
                )
                .at_setting(["needs".to_owned(), index.to_string()])
                .help("give one of them another name");
                pipeline.locate(&target, problem)
            }
            Self::Cycle { path } => {
                let first = path.first().cloned().unwrap_or_default();
                let shown: Vec<String> = path.iter().map(|name| format!("`{name}`")).collect();
                let problem = Diagnostic::error(
                    "config.needs.cycle",
                    format!(
                        "targets need each other in a circle: {}",
                        shown.join(" needs ")
                    ),
                )
                .at_setting(["needs"])
                .help("take one of these out of `needs`");
                pipeline.locate(&first, problem)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use synth_core::ProjectPath;

    use super::*;

    fn graph(targets: &[(&str, &[&str])]) -> Result<TargetGraph, GraphError> {
        let targets: Vec<TargetSpec> = targets
            .iter()
            .map(|(name, needs)| {
                let target = TargetSpec::new(*name, "any", ProjectPath::root());
                needs.iter().fold(target, |target, need| target.need(*need))
            })
            .collect();
        TargetGraph::new(&targets)
    }

    #[test]
    fn needed_targets_come_first() {
        let graph = graph(&[
            ("image", &["api", "site"]),
            ("api", &[]),
            ("site", &["api"]),
        ])
        .unwrap();
        assert_eq!(graph.order(), [1, 2, 0]);
        assert_eq!(graph.with_needs(&["site".into()]), BTreeSet::from([1, 2]));
    }

    #[test]
    fn all_problems_are_found_at_once() {
        let error = graph(&[
            ("a", &["b", "nowhere"]),
            ("b", &["c"]),
            ("c", &["a"]),
            ("d", &["d"]),
            ("a", &[]),
        ]);
        let text = format!("{:?}", error.unwrap_err().problems);
        for part in ["Duplicate", "nowhere", r#"["d", "d"]"#] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
