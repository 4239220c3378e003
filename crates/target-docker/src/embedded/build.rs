//! Building an image stage by stage.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::rc::Rc;

use synth_core::{Diagnostic, RunContext};

use super::copy::{Copier, CopyError, make_directories};
use super::tree::Tree;
use super::{layer, users};
use crate::dockerfile::{Dockerfile, SourceText, parse};
use crate::evaluate::{Change, CopyStep, Evaluator, StageState, Step};
use crate::image_config::set_labels;
use crate::oci::{
    ContainerConfig, FinishedLayer, History, ImageConfig, ImageInLayout, LayoutWriter, NamedImage,
    RootFs, read_layout,
};
use crate::parameters::{BuildParameters, CONTEXT};
use crate::stages::{self, Origin, StageGraph};
use crate::time::rfc3339;
use crate::variables::Arguments;

/// Builds the image into an OCI layout at `output`.
pub(crate) fn build(
    parameters: &BuildParameters,
    context: &dyn RunContext,
    output: &Path,
) -> Result<NamedImage, Vec<Diagnostic>> {
    let source = SourceText::new(parameters.dockerfile.as_str(), &parameters.text);
    let (dockerfile, mut problems) = parse(&parameters.text, &source);
    let arguments = Arguments::new(parameters, &dockerfile, &source, &mut problems);
    stop_on_errors(problems)?;
    let graph = stages::resolve(
        &dockerfile,
        &source,
        &arguments,
        parameters.target.as_deref(),
        parameters.named.keys().cloned().collect(),
    )?;
    let writer = LayoutWriter::new(output).map_err(|error| vec![unwritable(&error)])?;
    let mut builder = Builder {
        parameters,
        context,
        source: &source,
        evaluator: Evaluator {
            dockerfile: &dockerfile,
            source: &source,
            arguments: &arguments,
            graph: &graph,
        },
        graph: &graph,
        writer,
        built: BTreeMap::new(),
        trees: BTreeMap::new(),
        images: BTreeMap::new(),
        scratch_files: 0,
    };
    let kept = chain(&graph);
    for index in graph.needed.clone() {
        builder.stage(index, &dockerfile, kept.contains(&index))?;
    }
    builder.finish()
}

/// The result and the stages it begins with: those whose layers are part of the image.
fn chain(graph: &StageGraph) -> BTreeSet<usize> {
    let mut chain = BTreeSet::from([graph.target]);
    let mut stage = graph.target;
    while let Some(Origin::Stage(base)) = graph.bases.get(stage) {
        stage = *base;
        chain.insert(stage);
    }
    chain
}

/// The stage that the result begins with, stages followed down.
fn root(graph: &StageGraph) -> usize {
    // A stage comes after the one that it begins with.
    chain(graph).first().copied().unwrap_or(graph.target)
}

/// A stage that is done, or under way.
#[derive(Clone, Default)]
struct Built {
    state: StageState,
    tree: Tree,
    /// The image that it all began with.
    base: Option<Rc<ImageInLayout>>,
    layers: Vec<FinishedLayer>,
    history: Vec<History>,
}

struct Builder<'a> {
    parameters: &'a BuildParameters,
    context: &'a dyn RunContext,
    source: &'a SourceText,
    evaluator: Evaluator<'a>,
    graph: &'a StageGraph,
    writer: LayoutWriter,
    built: BTreeMap<usize, Built>,
    trees: BTreeMap<Origin, Rc<Tree>>,
    images: BTreeMap<String, Option<Rc<ImageInLayout>>>,
    scratch_files: usize,
}

impl Builder<'_> {
    fn stage(
        &mut self,
        index: usize,
        dockerfile: &Dockerfile,
        keep_layers: bool,
    ) -> Result<(), Vec<Diagnostic>> {
        let line = dockerfile.stages.get(index).map_or(0, |stage| stage.line);
        let mut built = self.base(index, line).map_err(|error| vec![error])?;
        let mut problems = Vec::new();
        let steps = self.evaluator.stage(index, &mut built.state, &mut problems);
        stop_on_errors(problems)?;
        for step in steps {
            if self.context.is_cancelled() {
                return Err(vec![Diagnostic::error(
                    "docker.cancelled",
                    "the build was cancelled",
                )]);
            }
            self.context.log(&format!("{}: {}", step.line, step.text));
            self.context.progress(&step.text);
            let layer = self
                .step(&step, &mut built, keep_layers)
                .map_err(|error| vec![error])?;
            built.history.push(History {
                created: Some(rfc3339(self.parameters.epoch)),
                created_by: Some(step.text),
                author: built.state.author.clone(),
                comment: Some("synth".into()),
                empty_layer: layer.is_none(),
            });
            built.layers.extend(layer);
        }
        self.built.insert(index, built);
        Ok(())
    }

    /// What a stage begins with.
    fn base(&mut self, index: usize, line: u32) -> Result<Built, Diagnostic> {
        match self.graph.bases.get(index) {
            None | Some(Origin::Scratch | Origin::Context) => Ok(Built {
                state: StageState::scratch(),
                ..Built::default()
            }),
            Some(Origin::Stage(base)) => Ok(self.built.get(base).cloned().unwrap_or_default()),
            Some(Origin::Registry(name)) => Err(self.source.error(
                line,
                "docker.from.registry",
                format!("`{name}` is in a registry, which the embedded builder does not read"),
            )),
            Some(Origin::Named(name)) => {
                let title = self.title(name);
                let image = self.image(name, line)?.ok_or_else(|| {
                    self.source
                        .error(
                            line,
                            "docker.from.no_image",
                            format!(
                                "{title} is no OCI image layout, so nothing can be built `FROM` it"
                            ),
                        )
                        .help(format!(
                            "begin with `FROM scratch` and `COPY --from={name}` what you need"
                        ))
                })?;
                if let Some(trigger) = image.config.config.on_build.first() {
                    return Err(self
                        .source
                        .error(
                            line,
                            "docker.from.onbuild",
                            format!("{title} has `ONBUILD {trigger}`, which the embedded builder does not carry out"),
                        )
                        .help("set `engine = \"docker\"`, or build on an image without ONBUILD"));
                }
                let tree = self.tree(&Origin::Named(name.clone()), line)?;
                Ok(Built {
                    state: StageState {
                        config: image.config.config.clone(),
                        author: image.config.author.clone(),
                        ..StageState::default()
                    },
                    tree: (*tree).clone(),
                    history: base_history(&image.config, &title),
                    base: Some(image),
                    layers: Vec::new(),
                })
            }
        }
    }

    fn title(&self, name: &str) -> String {
        let input = self.parameters.named.get(name);
        input.map_or_else(|| format!("`{name}`"), |input| input.title.clone())
    }

    /// The image of a named input; none when it is no OCI layout.
    fn image(&mut self, name: &str, line: u32) -> Result<Option<Rc<ImageInLayout>>, Diagnostic> {
        if let Some(image) = self.images.get(name) {
            return Ok(image.clone());
        }
        let Some(input) = self.parameters.named.get(name) else {
            return Ok(None);
        };
        let directory = self.context.inputs().join(&input.place);
        let image = if directory.join("oci-layout").is_file() {
            let platform = &self.parameters.platform;
            let image = read_layout(&directory, input.image.as_deref(), Some(platform));
            Some(Rc::new(image.map_err(|error| {
                self.source
                    .error(
                        line,
                        "docker.layout.unreadable",
                        format!("{} can't be used as an image", input.title),
                    )
                    .caused_by(&error)
            })?))
        } else {
            None
        };
        self.images.insert(name.to_owned(), image.clone());
        Ok(image)
    }

    /// The files of what a copy takes from, or a stage begins with.
    fn tree(&mut self, origin: &Origin, line: u32) -> Result<Rc<Tree>, Diagnostic> {
        if let Origin::Stage(index) = origin {
            let tree = self.built.get(index).map(|built| built.tree.clone());
            return Ok(Rc::new(tree.unwrap_or_default()));
        }
        if let Some(tree) = self.trees.get(origin) {
            return Ok(Rc::clone(tree));
        }
        let place = match origin {
            Origin::Context => CONTEXT,
            Origin::Named(name) => {
                if let Some(image) = self.image(name, line)? {
                    let tree = self.image_tree(&image).map_err(|error| {
                        self.source
                            .error(
                                line,
                                "docker.layout.unreadable",
                                format!("the layers of {} can't be read", self.title(name)),
                            )
                            .caused_by(&error)
                    })?;
                    let tree = Rc::new(tree);
                    self.trees.insert(origin.clone(), Rc::clone(&tree));
                    return Ok(tree);
                }
                let input = self.parameters.named.get(name);
                input.map_or("", |input| input.place.as_str())
            }
            Origin::Scratch | Origin::Stage(_) => return Ok(Rc::default()),
            Origin::Registry(name) => {
                return Err(self.source.error(
                    line,
                    "docker.from.registry",
                    format!("`{name}` is in a registry, which the embedded builder does not read"),
                ));
            }
        };
        let directory = self.context.inputs().join(place);
        let tree = if directory.is_dir() {
            Tree::from_directory(&directory, self.parameters.epoch)
        } else {
            Ok(Tree::default())
        };
        let tree = Rc::new(tree.map_err(|error| {
            self.source
                .error(
                    line,
                    "docker.context.unreadable",
                    "the files to copy can't be read",
                )
                .caused_by(&error)
        })?);
        self.trees.insert(origin.clone(), Rc::clone(&tree));
        Ok(tree)
    }

    fn image_tree(&mut self, image: &ImageInLayout) -> io::Result<Tree> {
        let mut tree = Tree::default();
        for layer in &image.manifest.layers {
            let blob = image.blob(layer).map_err(io::Error::other)?;
            self.scratch_files += 1;
            let scratch = self.context.scratch();
            let archive = scratch.join(format!("layer-{}.tar", self.scratch_files));
            layer::apply(&mut tree, &blob, &archive)?;
        }
        Ok(tree)
    }

    /// Carries out one step; the layer that it makes, if any.
    fn step(
        &mut self,
        step: &Step,
        built: &mut Built,
        keep_layer: bool,
    ) -> Result<Option<FinishedLayer>, Diagnostic> {
        let wrong = |error: CopyError, source: &SourceText| {
            let code = format!("docker.{}", error.code);
            let diagnostic = source.error(step.line, &code, error.message);
            error.help.into_iter().fold(diagnostic, Diagnostic::help)
        };
        let changed = match &step.change {
            Change::Configuration => return Ok(None),
            Change::Run { .. } => {
                return Err(self.source.error(
                    step.line,
                    "docker.run.embedded",
                    "the embedded builder runs nothing",
                ));
            }
            Change::Directory { path, user } => {
                let owner = self.owner(step, user, &built.tree)?;
                make_directories(&mut built.tree, path, owner, self.parameters.epoch)
                    .map_err(|error| wrong(error, self.source))?
            }
            Change::Copy(copy) => self
                .copy(step, copy, built)?
                .map_err(|error| wrong(error, self.source))?,
        };
        // A WORKDIR that is there already changes nothing.
        let nothing = changed.is_empty() && matches!(step.change, Change::Directory { .. });
        if nothing || !keep_layer {
            return Ok(None);
        }
        let layer = layer::write(self.writer.blobs(), &built.tree, &changed);
        layer
            .map(Some)
            .map_err(|error| self.source.place(unwritable(&error), step.line))
    }

    fn copy(
        &mut self,
        step: &Step,
        copy: &CopyStep,
        built: &mut Built,
    ) -> Result<Result<BTreeSet<String>, CopyError>, Diagnostic> {
        let from = self.tree(&copy.origin, step.line)?;
        let owner = match &copy.owner {
            Some(owner) => Some(self.owner(step, owner, &built.tree)?),
            None => None,
        };
        self.scratch_files += 1;
        let scratch = self.context.scratch();
        let scratch = scratch.join(format!("copy-{}", self.scratch_files));
        std::fs::create_dir_all(&scratch).map_err(|error| unwritable(&error))?;
        let from_name = match &copy.origin {
            Origin::Context => "the build context".to_owned(),
            Origin::Stage(index) => {
                let stages = &self.evaluator.dockerfile.stages;
                let name = stages.get(*index).and_then(|stage| stage.name.as_deref());
                name.map_or_else(
                    || format!("stage {index}"),
                    |name| format!("stage `{name}`"),
                )
            }
            Origin::Named(name) => self.title(name),
            Origin::Scratch | Origin::Registry(_) => "an empty image".to_owned(),
        };
        let copier = Copier {
            step: copy,
            from: &from,
            from_name: &from_name,
            owner,
            mtime: self.parameters.epoch,
            scratch: &scratch,
        };
        Ok(copier.copy_into(&mut built.tree))
    }

    fn owner(&self, step: &Step, text: &str, tree: &Tree) -> Result<users::Owner, Diagnostic> {
        if text.is_empty() {
            return Ok(users::Owner::default());
        }
        users::resolve(text, tree).map_err(|reason| {
            self.source
                .error(step.line, "docker.user.unknown", reason)
                .help("use numbers, `1000:1000`, or copy files that have the names first")
        })
    }

    /// Writes the documents of the image.
    fn finish(mut self) -> Result<NamedImage, Vec<Diagnostic>> {
        let target = self.graph.target;
        let Some(mut built) = self.built.remove(&target) else {
            return Err(vec![Diagnostic::error(
                "docker.target",
                "no stage was built",
            )]);
        };
        let labels = &self.parameters.labels;
        if let Some(text) = set_labels(&mut built.state.config, labels) {
            built.history.push(History {
                created: Some(rfc3339(self.parameters.epoch)),
                created_by: Some(text),
                comment: Some("synth".into()),
                empty_layer: true,
                ..History::default()
            });
        }
        let unwritten = |error: &dyn std::error::Error| {
            vec![
                Diagnostic::error("docker.layout.write", "the image can't be written")
                    .caused_by(error),
            ]
        };
        if let Some(base) = &built.base {
            self.writer
                .add_base(base)
                .map_err(|error| unwritten(&error))?;
        }
        for layer in built.layers {
            self.writer.add(layer);
        }
        // A stage that begins with another is for that one's platform.
        let platform = self.graph.platforms.get(root(self.graph));
        let platform = platform.unwrap_or(&self.parameters.platform);
        let base = built.base.as_deref().map(|base| &base.config);
        let config = ImageConfig {
            created: Some(rfc3339(self.parameters.epoch)),
            author: built.state.author,
            architecture: base
                .map_or(&platform.architecture, |base| &base.architecture)
                .clone(),
            os: base.map_or(&platform.os, |base| &base.os).clone(),
            os_version: base.and_then(|base| base.os_version.clone()),
            variant: base.map_or(&platform.variant, |base| &base.variant).clone(),
            config: normal(built.state.config),
            rootfs: RootFs::default(),
            history: built.history,
        };
        self.writer
            .finish(config, &self.parameters.tags)
            .map_err(|error| unwritten(&error))
    }
}

/// The history of a base image; made up where it does not tell of every layer.
fn base_history(config: &ImageConfig, title: &str) -> Vec<History> {
    let told = config.history.iter().filter(|entry| !entry.empty_layer);
    if told.count() == config.rootfs.diff_ids.len() {
        return config.history.clone();
    }
    let entry = History {
        created: config.created.clone(),
        created_by: Some(format!("FROM {title}")),
        ..History::default()
    };
    vec![entry; config.rootfs.diff_ids.len()]
}

/// The working directory `/` is what an image without one has.
fn normal(mut config: ContainerConfig) -> ContainerConfig {
    if config.working_dir.is_empty() {
        config.working_dir = "/".into();
    }
    config
}

fn stop_on_errors(mut problems: Vec<Diagnostic>) -> Result<(), Vec<Diagnostic>> {
    // Warnings were shown with the plan.
    problems.retain(Diagnostic::is_error);
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

fn unwritable(error: &io::Error) -> Diagnostic {
    Diagnostic::error("docker.layout.write", "the image can't be written").caused_by(error)
}
