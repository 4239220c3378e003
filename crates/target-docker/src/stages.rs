//! Which stage builds on which: `FROM` and `--from` resolved, and only the stages that the result
//! needs.

use std::collections::{BTreeMap, BTreeSet};

use synth_core::Diagnostic;

use crate::dockerfile::{Dockerfile, Expanded, Instruction, SourceText, Stage, expand};
use crate::nearest::nearest;
use crate::oci::Platform;
use crate::variables::Arguments;

/// What a stage begins with, or what a `COPY --from` takes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// `FROM scratch`: nothing.
    Scratch,
    /// The build context.
    Context,
    /// Another stage of the file, by its position.
    Stage(usize),
    /// A needed target or one of `build_contexts`, by name.
    Named(String),
    /// An image of a registry, by its name.
    Registry(String),
}

/// The stages of a Dockerfile and how they hang together.
#[derive(Clone, Debug)]
pub(crate) struct StageGraph {
    /// What each stage begins with; those that no result needs may be unresolved.
    pub(crate) bases: Vec<Origin>,
    pub(crate) platforms: Vec<Platform>,
    /// The stage that is the result.
    pub(crate) target: usize,
    /// The stages that it needs, itself included, in the file's order.
    pub(crate) needed: BTreeSet<usize>,
    names: BTreeMap<String, usize>,
    named: BTreeSet<String>,
}

/// Resolves the stages. `named` are the names that stand for something outside the Dockerfile.
pub(crate) fn resolve(
    dockerfile: &Dockerfile,
    source: &SourceText,
    arguments: &Arguments,
    target: Option<&str>,
    named: BTreeSet<String>,
) -> Result<StageGraph, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut graph = StageGraph {
        bases: Vec::new(),
        platforms: Vec::new(),
        target: 0,
        needed: BTreeSet::new(),
        names: BTreeMap::new(),
        named,
    };
    for (index, stage) in dockerfile.stages.iter().enumerate() {
        graph.add(
            index,
            stage,
            dockerfile.escape,
            source,
            arguments,
            &mut problems,
        );
    }
    match graph.find_target(target, dockerfile.stages.len()) {
        Ok(index) => graph.target = index,
        Err(diagnostic) => problems.push(diagnostic),
    }
    let mut open = vec![graph.target];
    while let Some(index) = open.pop() {
        let Some(stage) = dockerfile.stages.get(index) else {
            continue;
        };
        if graph.needed.insert(index) {
            open.extend(graph.uses(index, stage, source, &mut problems));
        }
    }
    if problems.iter().any(Diagnostic::is_error) {
        Err(problems)
    } else {
        Ok(graph)
    }
}

/// A text of a `FROM` line with its variables replaced.
fn expand_in_from(
    text: &str,
    line: u32,
    escape: char,
    source: &SourceText,
    arguments: &Arguments,
    problems: &mut Vec<Diagnostic>,
) -> String {
    match expand(text, arguments, escape) {
        Ok(Expanded {
            text, undefined, ..
        }) => {
            problems.extend(undefined.iter().map(|name| {
                let message = format!("`{name}` has no value here");
                source
                    .warning(line, "docker.variable.undefined", message)
                    .help(format!(
                        "declare it before the first `FROM`: `ARG {name}=..`"
                    ))
            }));
            text
        }
        Err(reason) => {
            problems.push(source.error(line, "docker.substitution", reason));
            "scratch".to_owned()
        }
    }
}

impl StageGraph {
    fn add(
        &mut self,
        index: usize,
        stage: &Stage,
        escape: char,
        source: &SourceText,
        arguments: &Arguments,
        problems: &mut Vec<Diagnostic>,
    ) {
        let mut expanded =
            |text: &str| expand_in_from(text, stage.line, escape, source, arguments, problems);
        let base = expanded(&stage.base);
        let platform = stage.platform.as_deref().map(&mut expanded);
        let platform = match platform.map(|text| text.parse::<Platform>()) {
            None => arguments.platform().clone(),
            Some(Ok(platform)) => platform,
            Some(Err(reason)) => {
                problems.push(source.error(stage.line, "docker.platform", reason));
                arguments.platform().clone()
            }
        };
        self.platforms.push(platform);
        if base.is_empty() {
            problems.push(
                source
                    .error(stage.line, "docker.from.empty", "`FROM` names no image")
                    .help("give its variable a value in `build_args`, or a default with `ARG`"),
            );
        }
        self.bases.push(self.origin(&base));
        if let Some(name) = &stage.name {
            if self.named.contains(name) {
                problems.push(
                    source
                        .error(
                            stage.line,
                            "docker.stage.shadowed",
                            format!(
                                "the stage `{name}` has the name of a needed target or build context"
                            ),
                        )
                        .help("give the stage another name"),
                );
            }
            self.names.insert(name.clone(), index);
        }
    }

    /// What a name in `FROM` means at this point of the file.
    fn origin(&self, name: &str) -> Origin {
        let lower = name.to_ascii_lowercase();
        if let Some(index) = self.names.get(&lower) {
            Origin::Stage(*index)
        } else if self.named.contains(&lower) {
            Origin::Named(lower)
        } else if lower == "scratch" {
            Origin::Scratch
        } else {
            Origin::Registry(name.to_owned())
        }
    }

    /// What `--from=name` means in stage `index`.
    ///
    /// # Errors
    /// When it is this stage, or a later one.
    pub(crate) fn named_by_flag(&self, name: &str, index: usize) -> Result<Origin, String> {
        let lower = name.to_ascii_lowercase();
        let stage = match name.parse::<usize>() {
            Ok(number) if number < self.bases.len() => Some(number),
            Ok(number) => {
                return Err(format!(
                    "there is no stage {number}; the last is {}",
                    self.bases.len().saturating_sub(1)
                ));
            }
            Err(_) => self.names.get(&lower).copied(),
        };
        match stage {
            Some(stage) if stage == index => Err(format!("`{name}` is this stage itself")),
            Some(stage) if stage > index => Err(format!("the stage `{name}` comes later")),
            Some(stage) => Ok(Origin::Stage(stage)),
            None if self.named.contains(&lower) => Ok(Origin::Named(lower)),
            None if lower == "scratch" => Ok(Origin::Scratch),
            None => Ok(Origin::Registry(name.to_owned())),
        }
    }

    /// The stages that a stage needs.
    fn uses(
        &self,
        index: usize,
        stage: &Stage,
        source: &SourceText,
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<usize> {
        let mut uses = Vec::new();
        if let Some(Origin::Stage(base)) = self.bases.get(index) {
            uses.push(*base);
        }
        for statement in &stage.statements {
            let names: Vec<&String> = match &statement.instruction {
                Instruction::Copy(copy) => copy.from.iter().collect(),
                Instruction::Run(run) => {
                    let mounts = run.mounts.iter();
                    mounts.filter_map(|mount| mount.from.as_ref()).collect()
                }
                _ => Vec::new(),
            };
            for name in names {
                if name.contains('$') {
                    problems.push(
                        source
                            .error(
                                statement.line,
                                "docker.from_flag.variable",
                                format!("variables are not replaced in `--from={name}`"),
                            )
                            .help("name it in a `FROM $VARIABLE AS name` and use that name"),
                    );
                    continue;
                }
                match self.named_by_flag(name, index) {
                    Ok(Origin::Stage(stage)) => uses.push(stage),
                    Ok(_) => {}
                    Err(reason) => problems.push(source.error(
                        statement.line,
                        "docker.from_flag.stage",
                        format!("`--from={name}` can't be used: {reason}"),
                    )),
                }
            }
        }
        uses
    }

    fn find_target(&self, target: Option<&str>, stages: usize) -> Result<usize, Diagnostic> {
        let last = stages.saturating_sub(1);
        let Some(target) = target else {
            return Ok(last);
        };
        if let Some(index) = self.names.get(&target.to_ascii_lowercase()) {
            return Ok(*index);
        }
        if let Some(index) = target.parse().ok().filter(|index| *index < stages) {
            return Ok(index);
        }
        let diagnostic = Diagnostic::error(
            "docker.target.unknown",
            format!("the Dockerfile has no stage `{target}`"),
        )
        .at_setting(["target"]);
        let names = self.names.keys().map(String::as_str);
        Err(match nearest(target, names.clone()) {
            Some(name) => diagnostic.help(format!("the nearest one is `{name}`")),
            None if self.names.is_empty() => diagnostic.help("name one with `FROM image AS name`"),
            None => diagnostic.help(format!(
                "its stages are {}",
                names.collect::<Vec<_>>().join(", ")
            )),
        })
    }

    /// The nearest name that `FROM` or `--from` could mean.
    pub(crate) fn nearest_name(&self, name: &str) -> Option<&str> {
        let names = self.names.keys().chain(&self.named);
        nearest(name, names.map(String::as_str))
    }
}
