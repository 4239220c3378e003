//! `clean`: removes what builds have left, and nothing that they have not.

use std::fs;
use std::io;
use std::sync::Arc;

use synth_core::{Concern, Diagnostic, ProjectPath, TargetSpec};

use crate::Registry;
use crate::build::{BuildError, default_store_directory, open_state};
use crate::commit::{InPlace, Outputs};
use crate::config::Pipeline;
use crate::executor::kept;
use crate::options::BuildOptions;
use crate::plans::located;
use crate::store::Store;
use crate::transaction::settle;

/// How often it is tried to hold the workspace: a build may be just ending.
const PATIENCE: u32 = 20;

/// What was done when a workspace was cleaned.
#[derive(Clone, Debug, Default)]
pub struct Cleaned {
    /// The paths removed.
    pub removed: Vec<ProjectPath>,
    /// What is to be said of a build that had died.
    pub warnings: Vec<Diagnostic>,
}

/// Removes the outputs of every target of a pipeline, and what their kinds say beside. While what an
/// earlier build has published is unfinished, what was there before that stays aside.
///
/// # Errors
/// What could not be removed; everything else is.
pub fn clean(
    pipeline: &Pipeline,
    registry: &Registry,
    options: &BuildOptions,
) -> Result<Cleaned, Vec<Diagnostic>> {
    let state = open_state(&pipeline.root).map_err(BuildError::into_diagnostics)?;
    let directory = options
        .store
        .clone()
        .unwrap_or_else(default_store_directory);
    let unusable = |error: io::Error| {
        vec![
            Diagnostic::error(
                "state.unusable",
                format!("`{}` can't be used", directory.display()),
            )
            .concerning(synth_core::Concern::State)
            .caused_by(&error),
        ]
    };
    let store = Store::open(&directory).map_err(unusable)?;
    let Some(_lock) = state.try_lock(PATIENCE).map_err(unusable)? else {
        return Err(vec![
            Diagnostic::error("clean.busy", "a build is running in this workspace")
                .concerning(Concern::State)
                .help("wait for it to end"),
        ]);
    };
    let warnings = settle(&pipeline.root)?.told();
    for target in &pipeline.targets {
        kept::remove(&state.kept_directory(), &target.name);
    }
    let in_place = InPlace::load(&pipeline.root);
    let outputs = Outputs::new(&pipeline.root, state, store, Arc::clone(&in_place));
    let mut cleaning = Cleaning {
        pipeline,
        outputs: &outputs,
        removed: Vec::new(),
        problems: path_problems(pipeline, &outputs),
    };
    if pipeline.targets.len() == pipeline.every_target.len() {
        cleaning.remove_forgotten(&in_place);
    }
    for target in &pipeline.targets {
        cleaning.remove_target(target, registry);
    }
    if cleaning.problems.is_empty() {
        Ok(Cleaned {
            removed: cleaning.removed,
            warnings,
        })
    } else {
        Err(cleaning.problems)
    }
}

struct Cleaning<'a> {
    pipeline: &'a Pipeline,
    outputs: &'a Outputs,
    removed: Vec<ProjectPath>,
    problems: Vec<Diagnostic>,
}

impl Cleaning<'_> {
    /// Removes what targets have left among sources that are no more.
    fn remove_forgotten(&mut self, in_place: &InPlace) {
        for target in in_place.targets() {
            if self.pipeline.target(&target).is_some() {
                continue;
            }
            match self.outputs.remove_in_place(&target) {
                Ok(paths) => self.removed.extend(paths),
                Err(problem) => self.problems.push(problem),
            }
        }
    }

    fn remove_target(&mut self, target: &TargetSpec, registry: &Registry) {
        let pipeline = self.pipeline;
        self.outputs
            .clear_leftovers(std::slice::from_ref(&target.output_path));
        let of_target = |problem: &Diagnostic| problem.target.as_ref() == Some(&target.name);
        if !self.problems.iter().any(of_target) {
            match self.outputs.remove(target) {
                Ok(paths) => self.removed.extend(paths),
                Err(problem) => self.problems.push(pipeline.locate(&target.name, problem)),
            }
        }
        let kind = registry.kind(&target.kind);
        let beside = kind.map_or_else(|| Ok(Vec::new()), |kind| kind.clean(target));
        let beside = beside.unwrap_or_else(|problem| {
            self.problems.push(located(pipeline, target, problem));
            Vec::new()
        });
        for path in beside {
            match remove(pipeline, &path) {
                Ok(true) => self.removed.push(path),
                Ok(false) => {}
                Err(problem) => self.problems.push(pipeline.locate(&target.name, problem)),
            }
        }
    }
}

/// What is wrong with output paths that nobody chose and that were used.
fn path_problems(pipeline: &Pipeline, outputs: &Outputs) -> Vec<Diagnostic> {
    let used = |name: &str| {
        let target = pipeline.target(name);
        target.is_some_and(|target| outputs.has_replaced(target))
    };
    pipeline.default_path_problems(used).cloned().collect()
}

fn remove(pipeline: &Pipeline, path: &ProjectPath) -> Result<bool, Diagnostic> {
    if path.is_root() {
        return Ok(false);
    }
    let disk = pipeline.root.join(path.as_str());
    let removed = match fs::symlink_metadata(&disk) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&disk),
        Ok(_) => fs::remove_file(&disk),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => Err(error),
    };
    removed.map(|()| true).map_err(|error| {
        Diagnostic::error("clean.remove", format!("`{path}` can't be removed"))
            .concerning(synth_core::Concern::State)
            .caused_by(&error)
    })
}
