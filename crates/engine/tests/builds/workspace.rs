//! A workspace with a store of its own, and a kind whose targets are shell scripts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use synth_core::{
    Action, BuildTarget, Diagnostic, Exec, InputSource, Jobserver, Native, NativeOutcome, Phase,
    Plan, PlanContext, RunContext, SourceFiles, TargetDescription, TargetSpec, ToolRequest,
};
use synth_engine::plugin::{HostProgram, PluginDirectories, PluginOptions};
use synth_engine::{
    BuildOptions, BuildReport, BuildRequest, Earlier, LoadOptions, Loaded, Pipeline, Registry,
    TargetStatus,
};

/// A target whose `script` leaves its outputs in `out`, or, with patterns of `outputs`, among its
/// sources. With patterns of `inputs`, it reads no others of its sources.
pub(crate) struct Script;

#[derive(Deserialize)]
struct Settings {
    script: String,
    #[serde(default)]
    timeout: Option<u64>,
    #[serde(default = "once")]
    attempts: u32,
    #[serde(default)]
    inputs: Vec<String>,
    #[serde(default)]
    outputs: Vec<String>,
    #[serde(default)]
    cpus: u32,
    #[serde(default)]
    memory: u64,
    #[serde(default)]
    jobserver: bool,
}

fn once() -> u32 {
    1
}

impl BuildTarget for Script {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: "script".into(),
            crate_name: "script".into(),
            version: semver::Version::new(1, 0, 0),
            description: "Runs a script".into(),
            settings_schema: serde_json::json!({
                "type": "object",
                "properties": {
                    "script": {"type": "string"},
                    "timeout": {"type": "integer"},
                    "attempts": {"type": "integer"},
                    "cpus": {"type": "integer"},
                    "memory": {"type": "integer"},
                    "jobserver": {"type": "boolean"},
                    "inputs": {"type": "array", "items": {"type": "string"}},
                    "outputs": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["script"],
            }),
            setting_aliases: Vec::new(),
        }
    }

    fn validate(&self, target: &TargetSpec, _: &dyn PlanContext) -> Vec<Diagnostic> {
        if target.settings["script"] == "invalid" {
            return vec![Diagnostic::error("script.invalid", "no script").at_setting(["script"])];
        }
        Vec::new()
    }

    fn plan(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let settings: Settings = target.settings_as().map_err(|problem| vec![problem])?;
        let shell = ToolRequest::named("sh").version_arguments::<String>([]);
        let shell = context.tool(&shell).map_err(|error| {
            vec![Diagnostic::error("tool.missing", "no shell").caused_by(&error)]
        })?;
        let exec = Exec::new(["sh", "-c", &settings.script]).variables(target.environment.clone());
        let at = target.source_path.as_str();
        let outputs = &settings.outputs;
        let sources = SourceFiles::below(target.source_path.clone());
        let sources = sources.include(&settings.inputs).exclude(outputs);
        let action = Action::new("run", Phase::Build, "run the script", exec)
            .input(at, InputSource::Source(sources))
            .tool(shell);
        let mut action = if outputs.is_empty() {
            action.output_directory("out", "out")
        } else {
            action.output_files("out", at, outputs)
        };
        for name in &target.needs {
            let from = InputSource::Target { name: name.clone() };
            action = action.input(format!("needs/{name}"), from);
        }
        if let Some(seconds) = settings.timeout {
            action = action.timeout_seconds(seconds);
        }
        action.retry.attempts = settings.attempts;
        action.resources.cpu_millis = settings.cpus * 1000;
        action.resources.memory_bytes = settings.memory;
        if settings.jobserver {
            action = action.with_jobserver(Jobserver::Descriptors);
        }
        let mut plan = Plan::default()
            .action(action)
            .export("run", "out", "")
            .artifact("file", "*.txt");
        plan.in_place = !outputs.is_empty() && !target.output_path_chosen;
        Ok(plan)
    }

    fn run(&self, _: &Native, _: &dyn RunContext) -> Result<NativeOutcome, Vec<Diagnostic>> {
        Ok(NativeOutcome::quiet())
    }
}

/// A workspace with a store of its own, in a directory whose name has a space.
pub(crate) struct Workspace {
    pub(crate) directory: tempfile::TempDir,
}

impl Workspace {
    pub(crate) fn new(config: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("a b").tempdir().unwrap();
        let workspace = Self { directory };
        workspace.write("project/synth.toml", config);
        workspace.write("project/src/input.txt", "one");
        workspace
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn project(&self) -> std::path::PathBuf {
        self.directory.path().join("project")
    }

    /// The records of one sort that the workspace has, by name, in its database.
    pub(crate) fn records(&self, sort: i32) -> Vec<(String, Vec<u8>)> {
        let database = rusqlite::Connection::open(self.project().join(".synth/records.db"));
        let database = database.unwrap();
        let all = "SELECT name, value FROM records WHERE sort = ?1 ORDER BY name";
        // There is none before anything has been built.
        let Ok(mut statement) = database.prepare(all) else {
            return Vec::new();
        };
        let rows = statement.query_map([sort], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Puts something in the place of a record.
    pub(crate) fn set_record(&self, sort: i32, name: &str, value: &[u8]) {
        let database = rusqlite::Connection::open(self.project().join(".synth/records.db"));
        let set = "UPDATE records SET value = ?3 WHERE sort = ?1 AND name = ?2";
        let changed = database.unwrap().execute(set, (sort, name, value));
        assert_eq!(changed, Ok(1));
    }

    pub(crate) fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.project().join(path)).ok()
    }

    pub(crate) fn load(&self) -> Result<Pipeline, Vec<Diagnostic>> {
        let registry = Registry::new().with(Arc::new(Script));
        Pipeline::load(&self.project(), &LoadOptions::default(), &registry)
    }

    pub(crate) fn build(&self) -> BuildReport {
        self.build_with(BuildOptions::default())
    }

    pub(crate) fn clean(&self) -> Result<Vec<String>, Vec<Diagnostic>> {
        let options = BuildOptions {
            store: Some(self.directory.path().join("the store")),
            ..BuildOptions::default()
        };
        let registry = Registry::new().with(Arc::new(Script));
        let cleaned = synth_engine::clean(&self.load()?, &registry, &options)?;
        Ok(cleaned.removed.iter().map(ToString::to_string).collect())
    }

    pub(crate) fn build_with(&self, options: BuildOptions) -> BuildReport {
        self.try_build(options)
            .unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    pub(crate) fn build_with_store(&self, store: &Path) -> BuildReport {
        self.build_with(BuildOptions {
            store: Some(store.to_owned()),
            ..BuildOptions::default()
        })
    }

    pub(crate) fn try_build(&self, options: BuildOptions) -> Result<BuildReport, Vec<Diagnostic>> {
        let registry = Registry::new().with(Arc::new(Script));
        self.try_build_of(&registry, options)
    }

    /// Builds with other kinds than the scripts alone.
    pub(crate) fn try_build_of(
        &self,
        registry: &Registry,
        options: BuildOptions,
    ) -> Result<BuildReport, Vec<Diagnostic>> {
        let own = self.directory.path().join("the store");
        let store = Some(options.store.clone().unwrap_or(own));
        let request = BuildRequest {
            other: vec![kinds(registry), format!("{:?}", options.sandbox)],
            ..self.request(store.clone())
        };
        let earlier = Earlier::look(&request).unwrap();
        if options.use_cache
            && options.force.is_empty()
            && !options.verify_reproducible
            && let Some(report) = earlier.nothing_to_do()
        {
            return Ok(report);
        }
        let plugins = plugin_options();
        let load = LoadOptions::default();
        let loaded = Loaded::read(&self.project(), &load, registry, &plugins)?;
        let options = BuildOptions {
            store,
            earlier: Some(Arc::new(earlier)),
            watched: loaded.watched.clone(),
            ..options
        };
        tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(synth_engine::build(&loaded.pipeline, registry, &options))
            .map_err(synth_engine::BuildError::into_diagnostics)
    }

    /// What a build of the workspace asks for.
    pub(crate) fn request(&self, store: Option<PathBuf>) -> BuildRequest {
        BuildRequest {
            directory: self.project(),
            options: LoadOptions::default(),
            targets: Vec::new(),
            plugins: plugin_options(),
            store,
            other: Vec::new(),
        }
    }

    /// Whether the next build would find nothing to do without asking anybody.
    pub(crate) fn is_known_to_be_up_to_date(&self) -> bool {
        let store = self.directory.path().join("the store");
        let request = BuildRequest {
            other: vec![
                kinds(&Registry::new().with(Arc::new(Script))),
                "None".into(),
            ],
            ..self.request(Some(store))
        };
        let earlier = Earlier::look(&request);
        earlier.is_some_and(|earlier| earlier.nothing_to_do().is_some())
    }
}

/// What tells kinds from others: in a program of its own, that is the program.
fn kinds(registry: &Registry) -> String {
    format!("{:?}", registry.descriptions().collect::<Vec<_>>())
}

/// No plugins.
fn plugin_options() -> PluginOptions {
    PluginOptions {
        directories: PluginDirectories::default(),
        index: None,
        locked: false,
        host: HostProgram {
            program: "/nowhere".into(),
            arguments: Vec::new(),
        },
    }
}

pub(crate) fn statuses(report: &BuildReport) -> Vec<(&str, TargetStatus)> {
    let targets = report.targets.iter();
    targets
        .map(|target| (target.name.as_str(), target.status))
        .collect()
}

/// A pipeline of script targets, each `name | needs | script`.
pub(crate) fn pipeline(head: &str, targets: &[&str]) -> String {
    let mut text = format!("{head}\n");
    for target in targets {
        let mut parts = target.splitn(3, '|').map(str::trim);
        let (name, needs, script) = (parts.next(), parts.next(), parts.next());
        let needs: Vec<String> = needs
            .unwrap()
            .split_whitespace()
            .map(|need| format!("{need:?}"))
            .collect();
        text.push_str(&format!(
            "[targets.{}]\ntype = \"script\"\nsource_path = \"src\"\nneeds = [{}]\nscript = '''{}'''\n",
            name.unwrap(),
            needs.join(", "),
            script.unwrap()
        ));
    }
    text
}
