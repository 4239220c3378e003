//! Whole builds with the plugin.

use std::path::Path;

use synth_core::Diagnostic;
use synth_engine::plugin::{Isolation, PluginFile};
use synth_engine::{BuildOptions, BuildReport, LoadOptions, Pipeline, Registry, TargetStatus};

use crate::fixture::{good, opened_from};
use crate::project::Sources;

/// Builds the project's one target with a library.
fn built(
    sources: &Sources,
    file: &PluginFile,
    isolation: Isolation,
) -> Result<BuildReport, Vec<Diagnostic>> {
    let registry = Registry::new().with_described(
        opened_from(file.clone(), isolation),
        file.manifest.describe(),
        file.sha256.clone(),
    );
    let pipeline = Pipeline::load(&sources.root(), &LoadOptions::default(), &registry)?;
    let options = BuildOptions {
        store: Some(sources.root().join("store")),
        ..BuildOptions::default()
    };
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(synth_engine::build(&pipeline, &registry, &options))
        .map_err(synth_engine::BuildError::into_diagnostics)
}

/// A project whose target has this variable.
fn project(variable: &str) -> Sources {
    let sources = Sources::new();
    configure(&sources, variable);
    sources
}

fn configure(sources: &Sources, variable: &str) {
    // A link that leads out of the project is no source of an action.
    let _ = std::fs::remove_file(sources.root().join("src/outward"));
    let tools = sources.root();
    let config = format!(
        "[targets.one]\ntype = 'good'\nsource_path = 'src'\n\
         environment = {{ TOOLS = '{}', VARIABLE = '{variable}' }}\n",
        tools.display()
    );
    sources.write("synth.toml", config.as_bytes());
}

fn status(report: &BuildReport) -> TargetStatus {
    report.targets[0].status
}

pub(crate) fn it_builds(isolation: Isolation) {
    let sources = project("");
    let report = built(&sources, &good(), isolation).unwrap();
    assert!(report.success, "{report:?}");
    let text = std::fs::read_to_string(sources.root().join("dist/one/out.txt")).unwrap();
    assert_eq!(text, "text\ntool exited with Some(0)\n");
    let artifact = &report.targets[0].artifacts[0];
    assert_eq!(artifact.attributes["length"], "30");
}

pub(crate) fn a_build_without_changes_does_not_open_it(isolation: Isolation) {
    let sources = project("");
    let own = sources.root().join("a plugin.so");
    std::fs::copy(&good().path, &own).unwrap();
    let file = PluginFile::read(&own).unwrap();
    assert_eq!(
        status(&built(&sources, &file, isolation).unwrap()),
        TargetStatus::Built
    );
    let file_at = |path: &Path| PluginFile {
        path: path.to_owned(),
        ..file.clone()
    };
    // Nothing is there to be opened.
    let gone = file_at(&sources.root().join("gone.so"));
    assert_eq!(
        status(&built(&sources, &gone, isolation).unwrap()),
        TargetStatus::UpToDate
    );
    // Whereas a build that has to plan wants it.
    configure(&sources, "changed");
    let problems = built(&sources, &gone, isolation).unwrap_err();
    assert_eq!(problems[0].code, "plugin.open");
    assert_eq!(
        problems[0].message,
        "plugin `synth-target-good 1.2.3` can't be opened"
    );
    assert!(built(&sources, &file, isolation).unwrap().success);
}

pub(crate) fn one_of_many_that_panics_fails_alone(isolation: Isolation) {
    let sources = project("");
    let tools = sources.root().display().to_string();
    let mut config = String::from("failure_strategy = 'continue'\n");
    let panics = |number: usize| match number {
        7 => "validate",
        11 => "plan",
        _ => "",
    };
    for number in 0..20 {
        config.push_str(&format!(
            "[targets.t{number}]\ntype = 'good'\nsource_path = 'src'\npanic_in = '{}'\n\
             environment = {{ TOOLS = '{tools}', VARIABLE = '' }}\n",
            panics(number)
        ));
    }
    sources.write("synth.toml", config.as_bytes());
    for _ in ["planned", "known"] {
        let report = built(&sources, &good(), isolation).unwrap();
        for (number, target) in report.targets.iter().enumerate() {
            let is_sound = panics(number).is_empty();
            assert_eq!(target.status.is_success(), is_sound, "{}", target.name);
        }
        let told = report.targets.iter().flat_map(|target| &target.diagnostics);
        let told = told.filter(|problem| problem.is_error());
        let told: Vec<&str> = told.map(|problem| problem.message.as_str()).collect();
        assert_eq!(
            told,
            [
                "plugin `synth-target-good 1.2.3` panicked in `validate`",
                "plugin `synth-target-good 1.2.3` panicked in `plan`",
            ]
        );
    }
}
