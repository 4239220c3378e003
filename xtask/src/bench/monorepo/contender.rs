//! A tool with a monorepo of its own, and how it builds it.

use std::ffi::OsString;
use std::path::PathBuf;

use super::graph::Target;
use super::scenario::Scenario;
use super::tree::{PACKAGES, Tree, changed_source};
use crate::shell::Program;

/// What is measured.
pub(crate) struct Contender<'a> {
    pub(crate) name: &'static str,
    pub(crate) tree: &'a Tree<'a>,
    pub(crate) program: PathBuf,
    /// They build everything, as seen from the tree's directory.
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(&'static str, OsString)>,
    /// What it remembers of earlier builds, relative to the tree's directory.
    pub(crate) memory: &'static [&'static str],
    /// Where it takes part.
    pub(crate) scenarios: &'static [Scenario],
}

impl Contender<'_> {
    pub(crate) fn command(&self) -> Program {
        let program = Program::new(&self.program, &self.arguments);
        let program = program.directory(&self.tree.directory);
        let variables = self.variables.iter();
        variables.fold(program, |program, (name, value)| {
            program.variable(*name, value)
        })
    }

    /// The command as a person would give it.
    pub(crate) fn line(&self) -> String {
        let variables = self.variables.iter();
        let variables: String = variables
            .map(|(name, value)| format!("{name}={} ", value.display()))
            .collect();
        let directory = self.tree.directory.display();
        format!(
            "cd {directory} && {variables}{} {}",
            self.program.display(),
            self.arguments.join(" ")
        )
    }

    /// What is done before each run, as a program and its arguments.
    pub(crate) fn before(&self, scenario: Scenario, changed: &Target) -> String {
        let script = match scenario {
            Scenario::Nothing => return "true".to_owned(),
            Scenario::Cold => {
                let memory = self.memory.join(" ");
                format!("rm -rf {PACKAGES}/*/out {memory}")
            }
            // Content that has not been there before, or a cache would know what is made of it.
            Scenario::Changed => format!("date +%s.%N > {}", changed_source(changed)),
            Scenario::Deleted => format!("rm -rf {PACKAGES}/*/out"),
        };
        format!("sh -c '{script}'")
    }
}
