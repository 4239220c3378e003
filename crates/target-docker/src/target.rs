//! The target kind itself: how an analyzed target becomes a plan, and which function runs what.

use semver::Version;
use serde::de::DeserializeOwned;
use synth_core::{
    Action, Advice, BuildTarget, Detection, Diagnostic, Native, NativeOutcome, Phase, Plan,
    PlanContext, ProjectPath, Requirement, RunContext, TargetDescription, TargetSpec, Tool,
    settings_schema,
};

use crate::advice;
use crate::analysis::{Analysis, analyze};
use crate::engine;
use crate::oci::{self, NamedImage};
use crate::parameters::BuildParameters;
use crate::settings::{Engine, Settings};

/// What `type` names.
pub(crate) const KIND: &str = "docker";
/// The kind of the artifact: an OCI image layout.
const ARTIFACT: &str = "oci.image";
/// The functions of this kind's native actions.
const BUILD: &str = "build";
const BUILD_WITH_ENGINE: &str = "build-with-engine";
const VERIFY: &str = "verify";
/// Where the layout is among a native action's inputs or outputs.
const LAYOUT: &str = "layout";
/// A build with `RUN` may well install a distribution.
const ENGINE_TIMEOUT_SECONDS: u64 = 3600;

/// The target kind `docker`: a Dockerfile becomes an OCI image layout.
///
/// A Dockerfile without `RUN` whose images are all local is built in process, without a daemon
/// and without root. Anything else is built by a Docker engine with BuildKit and saved as a
/// layout.
///
/// Either way the same inputs give the same bytes, as far as what `RUN` runs does: times are
/// `SOURCE_DATE_EPOCH` of the target's `environment`, or 1970, and layers are compressed without
/// a time. In layers that `RUN` made, newer times are clamped to it; so compiled Python files in
/// them, which hold the time of their source, are compiled again when they are first imported
/// (`PYTHONDONTWRITEBYTECODE=1` or `python -m compileall --invalidation-mode checked-hash` avoids
/// that). Layers of a base image stay as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct DockerTarget;

#[cfg(feature = "plugin")]
synth_core::export_target!(DockerTarget);

impl BuildTarget for DockerTarget {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: KIND.into(),
            crate_name: env!("CARGO_PKG_NAME").into(),
            version: Version::parse(env!("CARGO_PKG_VERSION"))
                .unwrap_or_else(|_| Version::new(0, 0, 0)),
            description: "a Dockerfile becomes an OCI image".into(),
            settings_schema: settings_schema::<Settings>(),
            setting_aliases: Settings::aliases(),
        }
    }

    fn validate(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Diagnostic> {
        match examine(target, context) {
            Ok((analysis, _)) => analysis.problems,
            Err(problems) => problems,
        }
    }

    fn requirements(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Requirement> {
        let needed = analyze(target, context).is_ok_and(|analysis| wants_engine(&analysis));
        vec![Requirement {
            tool: engine::request("docker"),
            minimum_version: Some("20.10".into()),
            purpose: if needed {
                "builds this image: its Dockerfile needs an engine with BuildKit".into()
            } else {
                "runs `RUN` and loads images; this image is built without it".into()
            },
            how_to_get: "install Docker and start it: `apt-get install docker.io`, or https://docs.docker.com/engine/install/".into(),
            optional: !needed,
        }]
    }

    fn plan(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let (analysis, builder) = examine(target, context)?;
        let mut parameters = serde_json::to_value(&analysis.parameters)
            .map_err(|error| vec![wrong_parameters(&error)])?;
        // What the plan says is all that an action sees, so nothing of it may depend on a run.
        parameters.sort_all_objects();
        let native = Native::new(match &builder {
            Some(_) => BUILD_WITH_ENGINE,
            None => BUILD,
        })
        .parameters(parameters);
        let dockerfile = &analysis.parameters.dockerfile;
        let mut build = match builder {
            None => Action::new(
                BUILD,
                Phase::Assemble,
                format!("build the image of {dockerfile}"),
                native,
            ),
            Some(tool) => {
                let native = engine::pass_environment(native);
                Action::new(
                    BUILD,
                    Phase::Build,
                    format!("build the image of {dockerfile} with Docker"),
                    native,
                )
                .tool(tool)
                .with_network()
                .retry(advice::retry())
                .timeout_seconds(ENGINE_TIMEOUT_SECONDS)
            }
        };
        for (place, from) in analysis.inputs {
            build = build.input(place, from);
        }
        let verify = Action::new(
            VERIFY,
            Phase::Validate,
            "check every digest of the image",
            Native::new(VERIFY),
        )
        .input_from(LAYOUT, BUILD, LAYOUT);
        let mut plan = Plan::default()
            .action(build.output_directory(LAYOUT, LAYOUT))
            .action(verify)
            .export(BUILD, LAYOUT, "")
            .artifact(ARTIFACT, "");
        plan.warnings = analysis.problems;
        Ok(plan)
    }

    fn advice(&self) -> Vec<Advice> {
        advice::advice()
    }

    fn run(
        &self,
        action: &Native,
        context: &dyn RunContext,
    ) -> Result<NativeOutcome, Vec<Diagnostic>> {
        let output = context.outputs().join(LAYOUT);
        match action.function.as_str() {
            BUILD => {
                let parameters: BuildParameters = read_parameters(action)?;
                let image = crate::embedded::build(&parameters, context, &output)?;
                Ok(outcome(&image, &parameters, "embedded"))
            }
            BUILD_WITH_ENGINE => {
                let parameters: BuildParameters = read_parameters(action)?;
                let image = engine::build(&parameters, context, &output)?;
                Ok(outcome(&image, &parameters, "docker"))
            }
            VERIFY => {
                let problems = oci::verify(&context.inputs().join(LAYOUT));
                if problems.is_empty() {
                    Ok(NativeOutcome::quiet())
                } else {
                    Err(problems)
                }
            }
            other => Err(vec![Diagnostic::error(
                "docker.function",
                format!("the docker target has no function `{other}`"),
            )]),
        }
    }

    fn detect(&self, directory: &ProjectPath, context: &dyn PlanContext) -> Option<Detection> {
        crate::detect::detect(directory, context)
    }
}

/// Looks a target through and finds who builds it. What is left as problems are warnings.
fn examine(
    target: &TargetSpec,
    context: &dyn PlanContext,
) -> Result<(Analysis, Option<Tool>), Vec<Diagnostic>> {
    let mut analysis = analyze(target, context)?;
    let builder = builder(&analysis, context).unwrap_or_else(|problem| {
        analysis.problems.push(problem);
        None
    });
    if analysis.problems.iter().any(Diagnostic::is_error) {
        return Err(analysis.problems);
    }
    Ok((analysis, builder))
}

fn wants_engine(analysis: &Analysis) -> bool {
    analysis.engine == Engine::Docker || !analysis.needs_engine.is_empty()
}

/// Who builds: none for the embedded builder, else the Docker client to call.
fn builder(analysis: &Analysis, context: &dyn PlanContext) -> Result<Option<Tool>, Diagnostic> {
    if !wants_engine(analysis) {
        return Ok(None);
    }
    let first = analysis.needs_engine.first();
    let (line, what) = first.cloned().unwrap_or((0, String::new()));
    let place = |diagnostic: Diagnostic| {
        if line == 0 {
            diagnostic.at_setting(["engine"])
        } else {
            let diagnostic = analysis.source.place(diagnostic, line);
            let others: Vec<String> = analysis
                .needs_engine
                .iter()
                .skip(1)
                .map(|(line, _)| line.to_string())
                .collect();
            if others.is_empty() {
                diagnostic
            } else {
                let lines = if others.len() == 1 { "line" } else { "lines" };
                diagnostic.help(format!("the same goes for {lines} {}", others.join(", ")))
            }
        }
    };
    let without = "remove the line: copy in what other targets built, with `needs` and `COPY --from=TARGET`, and begin with `FROM scratch` or an OCI layout of `build_contexts`";
    if analysis.engine == Engine::Embedded {
        return Err(place(
            Diagnostic::error(
                "docker.engine.embedded",
                format!("the embedded builder can't build this: {what}"),
            )
            .help("set `engine = \"auto\"`, so that a Docker engine builds it")
            .help(without),
        ));
    }
    engine::find(context).map(Some).map_err(|problem| {
        let message = if what.is_empty() {
            format!("a Docker engine was asked for, and {problem}")
        } else {
            format!("{what}, which needs a Docker engine, and {problem}")
        };
        let diagnostic = Diagnostic::error("docker.engine.missing", message)
            .concerning(synth_core::Concern::Environment)
            .help(problem.help());
        place(if what.is_empty() {
            diagnostic.help("or set `engine = \"auto\"`")
        } else {
            diagnostic.help(format!("or {without}"))
        })
    })
}

fn read_parameters<T: DeserializeOwned>(action: &Native) -> Result<T, Vec<Diagnostic>> {
    serde_json::from_value(action.parameters.clone())
        .map_err(|error| vec![wrong_parameters(&error)])
}

fn wrong_parameters(error: &serde_json::Error) -> Diagnostic {
    Diagnostic::error(
        "docker.parameters",
        "the plan's parameters are not those of this version of the docker target",
    )
    .caused_by(error)
}

fn outcome(image: &NamedImage, parameters: &BuildParameters, builder: &str) -> NativeOutcome {
    NativeOutcome::quiet()
        .attribute(ARTIFACT, "image_digest", image.digest.as_str())
        .attribute(ARTIFACT, "platform", image.platform.to_string())
        .attribute(ARTIFACT, "tags", parameters.tags.join(","))
        .attribute(ARTIFACT, "layers", image.layers.to_string())
        .attribute(ARTIFACT, "builder", builder)
}
