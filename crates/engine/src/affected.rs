//! The targets that changes in git can reach: those whose settings, or whose sources by name, are
//! among what differs from a revision, and all that need them.

use std::collections::{BTreeSet, HashMap};

use synth_core::{Diagnostic, InputSource, Plan, ProjectPath, SourceFiles, TargetSpec};

use crate::Registry;
use crate::build::{BuildError, build_name, open_state, open_workshop, plan_all, unusable};
use crate::config::{LoadOptions, Pipeline};
use crate::git::Git;
use crate::graph::TargetGraph;
use crate::options::BuildOptions;
use crate::patterns::PathPatterns;
use crate::plugin::LOCK_FILE_NAME;
use crate::recorded::{Dialogue, Question};
use crate::repair::Executed;
use crate::schedule::PlannedTarget;

/// The names of the targets of a pipeline that changes since a revision can reach, in its order:
/// commits since the one where `HEAD` left `since`, and what is not committed, files that git does
/// not know included.
///
/// # Errors
/// When git can't tell, and every problem that would keep a build from beginning.
pub async fn affected(
    pipeline: &Pipeline,
    registry: &Registry,
    load: &LoadOptions,
    options: &BuildOptions,
    since: &str,
) -> Result<Vec<String>, BuildError> {
    let changes = Changes::since(pipeline, registry, load, since)
        .map_err(|p| BuildError::Invalid(vec![*p]))?;
    if changes.paths.is_empty() {
        return Ok(Vec::new());
    }
    let state = open_state(&pipeline.root)?;
    let _lock = state
        .lock(options.observer.as_ref(), &options.cancel)
        .await
        .map_err(|error| unusable(&pipeline.root.join(".synth"), &error))?
        .ok_or(BuildError::Cancelled)?;
    let nothing = (Executed::default(), std::sync::Arc::default());
    let workshop = open_workshop(pipeline, options, state, &build_name(), nothing)?;
    let targets = plan_all(pipeline, registry, &workshop, options.use_cache).await?;
    let graph = TargetGraph::new(&pipeline.targets)
        .map_err(|error| BuildError::Invalid(error.into_diagnostics(pipeline)))?;
    let mut reached: BTreeSet<usize> = BTreeSet::new();
    for index in graph.order() {
        let needs = graph.needs(*index);
        if needs.iter().any(|needed| reached.contains(needed)) || changes.reach(&targets[*index]) {
            reached.insert(*index);
        }
    }
    let name = |index: usize| Some(pipeline.targets.get(index)?.name.clone());
    Ok(reached.into_iter().filter_map(name).collect())
}

/// What differs from a revision.
struct Changes {
    /// Relative to the project's root.
    paths: Vec<String>,
    /// The targets as the revision's configuration has them; none when every target may be
    /// another one.
    before: Option<HashMap<String, TargetSpec>>,
}

impl Changes {
    fn since(
        pipeline: &Pipeline,
        registry: &Registry,
        load: &LoadOptions,
        since: &str,
    ) -> Result<Self, Box<Diagnostic>> {
        let git = Git::at(&pipeline.root)?;
        let commit = git.ask(&[
            "rev-parse",
            "--verify",
            "--quiet",
            &format!("{since}^{{commit}}"),
        ]);
        let commit = commit.map_err(|problem| {
            let message = format!("there is no revision `{since}`");
            Box::new(
                Diagnostic::error("affected.revision", message)
                    .cause(problem.message.clone())
                    .help("name a branch, a tag or a commit; a shallow clone has few of them"),
            )
        })?;
        let commit = commit.trim().to_owned();
        // What others have done on that branch since is not what is asked for.
        let base = git.ask(&["merge-base", &commit, "HEAD"]);
        let base = base.map_or(commit, |base| base.trim().to_owned());
        let differs = [
            "diff",
            "--name-only",
            "--no-renames",
            "--relative",
            "-z",
            &base,
            "--",
        ];
        let mut paths = names(&git.ask(&differs)?);
        paths.extend(names(&git.ask(&[
            "ls-files",
            "--others",
            "--exclude-standard",
            "-z",
        ])?));
        let before = pipeline.config_name().and_then(|config| {
            if paths.contains(&LOCK_FILE_NAME.to_owned()) {
                return None;
            }
            if !paths.contains(&config) {
                return Some(by_name(&pipeline.every_target));
            }
            let text = git.ask(&["show", &format!("{base}:./{config}")]).ok()?;
            let before = pipeline.of_text(&config, text.into_bytes(), load, registry)?;
            Some(by_name(&before.every_target))
        });
        Ok(Self { paths, before })
    }

    /// Whether they can reach a target, by itself.
    fn reach(&self, target: &PlannedTarget) -> bool {
        let spec = &target.spec;
        let same = self
            .before
            .as_ref()
            .is_some_and(|before| before.get(&spec.name) == Some(spec));
        !same
            || self.reach_plan(&target.plan)
            // What a plan rests on that can't be told may be anything.
            || target.dialogue.as_ref().is_none_or(|dialogue| self.reach_dialogue(dialogue))
    }

    fn reach_plan(&self, plan: &Plan) -> bool {
        let mut inputs = plan.actions.iter().flat_map(|action| &action.inputs);
        inputs.any(|input| match &input.from {
            InputSource::Source(files) => self.reach_files(files),
            InputSource::Files { root, paths } => {
                let mut paths = paths.iter().filter_map(|path| root.join(path).ok());
                paths.any(|path| self.reach_path(&path))
            }
            _ => false,
        })
    }

    fn reach_dialogue(&self, dialogue: &Dialogue) -> bool {
        let mut answers = dialogue.answers().iter();
        answers.any(|answered| match &answered.question {
            Question::Read(path) | Question::Kind(path) | Question::Link(path) => {
                self.reach_path(path)
            }
            Question::Files(files) | Question::Directories(files) => self.reach_files(files),
            Question::Tool(_) => false,
        })
    }

    fn reach_path(&self, path: &ProjectPath) -> bool {
        self.paths.iter().any(|changed| changed == path.as_str())
    }

    fn reach_files(&self, files: &SourceFiles) -> bool {
        let root = files.root.as_str();
        let include = match files.include.as_slice() {
            [] => None,
            include => match PathPatterns::new(include) {
                Ok(include) => Some(include),
                Err(_) => return true,
            },
        };
        let Ok(exclude) = PathPatterns::new(&files.exclude) else {
            return true;
        };
        self.paths.iter().any(|changed| {
            let below = match root {
                "" => Some(changed.as_str()),
                root => changed
                    .strip_prefix(root)
                    .and_then(|rest| rest.strip_prefix('/')),
            };
            match below {
                Some(below) => {
                    let above = below.match_indices('/').map(|(end, _)| &below[..end]);
                    let excluded = above.chain([below]).any(|path| exclude.is_match(path));
                    !excluded
                        && include
                            .as_ref()
                            .is_none_or(|include| include.is_match(below))
                }
                // A submodule, or the root itself.
                None => root == changed || root.starts_with(&format!("{changed}/")),
            }
        })
    }
}

fn by_name(targets: &[TargetSpec]) -> HashMap<String, TargetSpec> {
    let targets = targets.iter();
    targets
        .map(|target| (target.name.clone(), target.clone()))
        .collect()
}

fn names(text: &str) -> Vec<String> {
    text.split('\0')
        .filter(|name| !name.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}
