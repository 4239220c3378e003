//! Having a Docker engine build: named inputs become local images under names of this build
//! alone, the Dockerfile gets a stage for each of them, and the result is saved and converted.
//! Engines without `--build-context` (before BuildKit 0.10 and buildx) do all of this too.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use synth_core::{Diagnostic, Native, Process, ProcessOutcome, RunContext};

use super::convert::{BaseImage, convert, empty_file};
use super::{failure, rewrite};
use crate::dockerfile::{Dockerfile, SourceText, parse};
use crate::oci::{NamedImage, Platform, docker_archive, read_layout};
use crate::parameters::{BuildParameters, CONTEXT, NamedInput};
use crate::stages::{self, Origin, StageGraph};
use crate::variables::Arguments;

/// What a client needs of the user's environment: where the engine is, and how to reach it and
/// registries.
const PASSED: [&str; 12] = [
    "HOME",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "DOCKER_*",
    "BUILDKIT_*",
    "BUILDX_*",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Lets an action's processes see what a client needs of the user's environment.
pub(crate) fn pass_environment(mut native: Native) -> Native {
    native.pass_environment.extend(PASSED.map(str::to_owned));
    native
}

/// Builds the image into an OCI layout at `output`.
pub(crate) fn build(
    parameters: &BuildParameters,
    context: &dyn RunContext,
    output: &Path,
) -> Result<NamedImage, Vec<Diagnostic>> {
    let source = SourceText::new(parameters.dockerfile.as_str(), &parameters.text);
    let (dockerfile, mut problems) = parse(&parameters.text, &source);
    let arguments = Arguments::new(parameters, &dockerfile, &source, &mut problems);
    problems.retain(Diagnostic::is_error);
    if !problems.is_empty() {
        return Err(problems);
    }
    let graph = stages::resolve(
        &dockerfile,
        &source,
        &arguments,
        parameters.target.as_deref(),
        parameters.named.keys().cloned().collect(),
    )?;
    let mut session = Session {
        parameters,
        context,
        source: &source,
        dockerfile: &dockerfile,
        graph: &graph,
        unique: unique_name(context),
        builder: String::new(),
        images: Vec::new(),
    };
    let built = session.build(output);
    session.remove_images();
    built.map_err(|diagnostic| vec![diagnostic])
}

/// A name that no other build has, not even one of the same image at the same time.
fn unique_name(context: &dyn RunContext) -> String {
    let mut hasher = Sha256::new();
    hasher.update(context.scratch().as_os_str().as_encoded_bytes());
    hasher.update(std::process::id().to_le_bytes());
    if let Ok(now) = std::time::SystemTime::UNIX_EPOCH.elapsed() {
        hasher.update(now.as_nanos().to_le_bytes());
    }
    hex::encode(hasher.finalize()).chars().take(16).collect()
}

struct Session<'a> {
    parameters: &'a BuildParameters,
    context: &'a dyn RunContext,
    source: &'a SourceText,
    dockerfile: &'a Dockerfile,
    graph: &'a StageGraph,
    unique: String,
    /// The builder of the engine itself, which sees local images; others of buildx don't.
    builder: String,
    /// Names to remove at the end.
    images: Vec<String>,
}

impl Session<'_> {
    fn build(&mut self, output: &Path) -> Result<NamedImage, Diagnostic> {
        self.builder = self
            .answer(&["context", "inspect", "--format", "{{.Name}}"])?
            .trim()
            .to_owned();
        let mut stages: Vec<String> = Vec::new();
        let mut base = BaseImage::default();
        let root = self.root_of_result();
        for (name, input) in &self.parameters.named {
            let (image, of_layout) = self.named_image(name, input)?;
            stages.push(format!("FROM {image} AS {name}"));
            if root == Origin::Named(name.clone()) {
                base = of_layout;
            }
        }
        let file = self.context.scratch().join("Dockerfile");
        let first_from = self.dockerfile.stages.first().map_or(1, |stage| stage.line);
        let text = rewrite::with_stages(&self.parameters.text, self.dockerfile, &stages);
        fs::write(&file, text).map_err(|error| scratch(&error))?;
        let directory = self.context_directory()?;
        let result = self.name("result");
        let arguments = self.build_arguments(&result, stages.len());
        let outcome = self.docker_build(&file, &directory, &arguments)?;
        if !outcome.succeeded() {
            let given = failure::Given {
                source: self.source,
                dockerfile: self.dockerfile,
                images: self.registry_images(),
                moved_from: first_from,
                moved_by: u32::try_from(stages.len()).unwrap_or(u32::MAX),
            };
            return Err(failure::diagnostic(&outcome, &given));
        }
        if let Origin::Registry(name) = &root {
            base = self.registry_base(name)?;
        }
        self.save(&result, &base, output)
    }

    /// The images of registries, by the line of their `FROM`.
    fn registry_images(&self) -> Vec<(u32, &str)> {
        let stages = self.dockerfile.stages.iter().zip(&self.graph.bases);
        stages
            .filter_map(|(stage, base)| match base {
                Origin::Registry(name) => Some((stage.line, name.as_str())),
                _ => None,
            })
            .collect()
    }

    /// What the result begins with, stages followed down.
    fn root_of_result(&self) -> Origin {
        let mut stage = self.graph.target;
        loop {
            match self.graph.bases.get(stage) {
                Some(Origin::Stage(base)) => stage = *base,
                Some(other) => return other.clone(),
                None => return Origin::Scratch,
            }
        }
    }

    fn name(&mut self, role: &str) -> String {
        let name = format!("synth-build-{}:{role}", self.unique);
        self.images.push(name.clone());
        name
    }

    /// Makes a local image of a named input.
    fn named_image(
        &mut self,
        name: &str,
        input: &NamedInput,
    ) -> Result<(String, BaseImage), Diagnostic> {
        let image = self.name(&format!("input-{name}"));
        let directory = self.context.inputs().join(&input.place);
        self.context
            .progress(&format!("hand {} to the engine", input.title));
        if !directory.join("oci-layout").is_file() {
            let file = self.context.scratch().join(format!("Dockerfile.{name}"));
            fs::write(&file, "FROM scratch\nCOPY . /\n").map_err(|error| scratch(&error))?;
            let arguments = vec!["--tag".into(), image.clone()];
            let outcome = self.docker_build(&file, &directory, &arguments)?;
            return if outcome.succeeded() {
                Ok((image, BaseImage::default()))
            } else {
                Err(failed(
                    format!("the engine can't take {}", input.title),
                    &outcome,
                ))
            };
        }
        let unusable = |error: &dyn std::error::Error| {
            Diagnostic::error(
                "docker.layout.unreadable",
                format!("{} can't be used as an image", input.title),
            )
            .in_file(self.source.path())
            .caused_by(error)
        };
        let platform = Some(&self.parameters.platform);
        let layout = read_layout(&directory, input.image.as_deref(), platform)
            .map_err(|error| unusable(&error))?;
        let archive = self.context.scratch().join(format!("{name}.tar"));
        let file = File::create(&archive).map_err(|error| scratch(&error))?;
        docker_archive(&directory, file, std::slice::from_ref(&image))
            .map_err(|error| unusable(&error))?;
        let outcome = self.docker(&["load", "--input", &archive.display().to_string()], None)?;
        if !outcome.succeeded() {
            return Err(failed(
                format!("the engine can't load {}", input.title),
                &outcome,
            ));
        }
        let base = BaseImage {
            diff_ids: layout.config.rootfs.diff_ids.clone(),
            history: layout.config.history.len(),
            layout: Some(layout),
        };
        Ok((image, base))
    }

    /// The build context; an empty directory when nothing is copied from it.
    fn context_directory(&self) -> Result<PathBuf, Diagnostic> {
        let directory = self.context.inputs().join(CONTEXT);
        if directory.is_dir() {
            return Ok(directory);
        }
        let empty = self.context.scratch().join("empty-context");
        fs::create_dir_all(&empty).map_err(|error| scratch(&error))?;
        Ok(empty)
    }

    fn build_arguments(&self, result: &str, inserted: usize) -> Vec<String> {
        let mut arguments = vec!["--tag".to_owned(), result.to_owned()];
        let mut add = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        if let Some(target) = &self.parameters.target {
            add(
                "--target",
                rewrite::target(target, self.dockerfile, inserted),
            );
        }
        for (name, value) in &self.parameters.build_args {
            add("--build-arg", format!("{name}={value}"));
        }
        if !self.parameters.build_args.contains_key("SOURCE_DATE_EPOCH") {
            let epoch = self.parameters.epoch;
            add("--build-arg", format!("SOURCE_DATE_EPOCH={epoch}"));
        }
        for (name, value) in &self.parameters.labels {
            add("--label", format!("{name}={value}"));
        }
        if self.parameters.platform != Platform::host() {
            add("--platform", self.parameters.platform.to_string());
        }
        arguments
    }

    fn docker_build(
        &self,
        file: &Path,
        directory: &Path,
        arguments: &[String],
    ) -> Result<ProcessOutcome, Diagnostic> {
        // What is ignored was left out already, and only once.
        let ignore = format!("{}.dockerignore", file.display());
        empty_file(Path::new(&ignore)).map_err(|error| scratch(&error))?;
        let mut command = vec!["build".to_owned(), "--progress".into(), "plain".into()];
        command.extend(["--file".to_owned(), file.display().to_string()]);
        command.extend(arguments.iter().cloned());
        command.push(directory.display().to_string());
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        self.docker(&command, None)
    }

    /// The layers of an image of a registry, which the engine has by now.
    fn registry_base(&mut self, name: &str) -> Result<BaseImage, Diagnostic> {
        let image = self.name("base");
        let file = self.context.scratch().join("Dockerfile.base");
        fs::write(&file, format!("FROM {name}\n")).map_err(|error| scratch(&error))?;
        let empty = self.context.scratch().join("empty-base-context");
        fs::create_dir_all(&empty).map_err(|error| scratch(&error))?;
        let mut arguments = vec!["--tag".to_owned(), image.clone()];
        if self.parameters.platform != Platform::host() {
            arguments.extend(["--platform".into(), self.parameters.platform.to_string()]);
        }
        let outcome = self.docker_build(&file, &empty, &arguments)?;
        if !outcome.succeeded() {
            return Err(failed(
                format!("the engine can't say which layers `{name}` has"),
                &outcome,
            ));
        }
        let layers = self.answer(&[
            "image",
            "inspect",
            "--format",
            "{{json .RootFS.Layers}}",
            &image,
        ])?;
        let history = self.answer(&["history", "--quiet", "--no-trunc", &image])?;
        Ok(BaseImage {
            diff_ids: serde_json::from_str(layers.trim()).unwrap_or_default(),
            history: history.lines().count(),
            layout: None,
        })
    }

    fn save(&self, image: &str, base: &BaseImage, output: &Path) -> Result<NamedImage, Diagnostic> {
        self.context.progress("save the image");
        let archive = self.context.scratch().join("saved.tar");
        let path = archive.display().to_string();
        let outcome = self.docker(&["save", "--output", &path, image], None)?;
        if !outcome.succeeded() {
            return Err(failed("the engine can't save the image".into(), &outcome));
        }
        let parameters = self.parameters;
        convert(
            &archive,
            &self.context.scratch().join("saved"),
            base,
            &parameters.tags,
            parameters.epoch,
            output,
        )
        .map_err(|error| {
            Diagnostic::error(
                "docker.engine.saved",
                "what the engine saved can't be made an OCI layout",
            )
            .caused_by(&error)
        })
    }

    fn docker(
        &self,
        arguments: &[&str],
        standard_output: Option<PathBuf>,
    ) -> Result<ProcessOutcome, Diagnostic> {
        let mut process = Process {
            argv: vec!["docker".into()],
            standard_output,
            ..Process::default()
        };
        process
            .argv
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let environment = &mut process.environment;
        environment.insert("DOCKER_BUILDKIT".into(), "1".into());
        environment.insert("BUILDX_NO_DEFAULT_ATTESTATIONS".into(), "1".into());
        if !self.builder.is_empty() {
            environment.insert("BUILDX_BUILDER".into(), self.builder.clone());
        }
        self.context.run(&process)
    }

    /// What a command prints.
    fn answer(&self, arguments: &[&str]) -> Result<String, Diagnostic> {
        let file = self.context.scratch().join("answer");
        let outcome = self.docker(arguments, Some(file.clone()))?;
        if !outcome.succeeded() {
            return Err(failed(
                format!("`docker {}` failed", arguments.join(" ")),
                &outcome,
            ));
        }
        fs::read_to_string(&file).map_err(|error| scratch(&error))
    }

    /// Takes the names of this build off again; what they named stays in the build cache.
    fn remove_images(&self) {
        for image in &self.images {
            // One that was never made, or is needed by the one removed next, is no problem.
            let _ = self.docker(&["image", "rm", image], None);
        }
    }
}

fn failed(message: String, outcome: &ProcessOutcome) -> Diagnostic {
    let diagnostic = Diagnostic::error("docker.engine.failed", message);
    match failure::last_words(&outcome.last_output) {
        Some(words) => diagnostic.cause(words),
        None => diagnostic,
    }
}

fn scratch(error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(
        "docker.engine.scratch",
        "a file of the build can't be written or read",
    )
    .caused_by(error)
}
