//! A pipeline of a test: a project in memory and a target in it, told step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::action::RunSettings;
use super::build::{Built, Failed, Session};
use super::context::ProjectContext;
use super::snapshot;
use super::tools::{Pretended, Tools};
use super::tree::{Entry, FileTree, normal};
use crate::{BuildTarget, Diagnostic, Plan, ProjectPath, TargetSpec, Tool};

/// A project and a target in it, which can be planned and built without the engine.
///
/// The project is in memory: while an action runs there is a fresh directory with what it
/// declared, and no project that it could look into. Processes get a clean environment and are
/// ended with their whole group. The target is called like its kind and its sources are the whole
/// project, unless [`TestPipeline::target`] says otherwise.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
/// # fn main() -> Result<(), synth_core::testkit::Failed> {
/// use synth_core::testkit::TestPipeline;
///
/// let pipeline = TestPipeline::new(Greet)
///     .file("names.txt", "Ada\nGrace\n")
///     .setting("greeting", "Good morning");
/// let built = pipeline.build()?;
/// assert_eq!(
///     built.outputs.text("greetings.txt"),
///     Some("Good morning, Ada!\nGood morning, Grace!\n")
/// );
/// assert_eq!(built.artifacts[0].kind, "greet.text");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TestPipeline {
    pub(super) kind: Arc<dyn BuildTarget>,
    pub(super) target: TargetSpec,
    pub(super) others: Vec<(Arc<dyn BuildTarget>, TargetSpec)>,
    files: Vec<(String, Entry)>,
    needed: BTreeMap<String, Vec<(String, Entry)>>,
    tools: BTreeMap<String, Pretended>,
    pub(super) run: RunSettings,
    pub(super) plan_only: bool,
}

impl TestPipeline {
    /// An empty project with one target of the kind.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// use synth_core::testkit::TestPipeline;
    ///
    /// let problems = TestPipeline::new(Greet).validate();
    /// assert_eq!(problems[0].code, "greet.names.missing");
    /// # }
    /// ```
    pub fn new(kind: impl BuildTarget + 'static) -> Self {
        let name = kind.describe().kind;
        Self {
            kind: Arc::new(kind),
            target: TargetSpec::new(name.clone(), name, ProjectPath::root()),
            others: Vec::new(),
            files: Vec::new(),
            needed: BTreeMap::new(),
            tools: BTreeMap::new(),
            run: RunSettings::default(),
            plan_only: false,
        }
    }

    /// Adds a file of the project; the path is relative to synth.toml.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// use synth_core::testkit::TestPipeline;
    ///
    /// let pipeline = TestPipeline::new(Greet).file("names.txt", "Ada\n");
    /// assert!(pipeline.validate().is_empty());
    /// # }
    /// ```
    #[must_use]
    pub fn file(mut self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.files.push((path.to_owned(), Entry::file(contents)));
        self
    }

    /// Adds a file that may be executed.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// # use synth_core::testkit::TestPipeline;
    /// let pipeline = TestPipeline::new(Greet).program("tools/run", "#!/bin/sh\n");
    /// # }
    /// ```
    #[must_use]
    pub fn program(mut self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.files.push((path.to_owned(), Entry::program(contents)));
        self
    }

    /// Adds a symbolic link, wherever it leads.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// # use synth_core::testkit::TestPipeline;
    /// let pipeline = TestPipeline::new(Greet)
    ///     .file("everyone.txt", "Ada\n")
    ///     .link("names.txt", "everyone.txt");
    /// assert!(pipeline.validate().is_empty());
    /// # }
    /// ```
    #[must_use]
    pub fn link(mut self, path: &str, leads_to: &str) -> Self {
        let link = Entry::Symlink(leads_to.to_owned());
        self.files.push((path.to_owned(), link));
        self
    }

    /// Adds a directory, which may stay empty.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// # use synth_core::testkit::TestPipeline;
    /// let pipeline = TestPipeline::new(Greet).directory("names.txt");
    /// assert!(pipeline.build().is_err());
    /// # }
    /// ```
    #[must_use]
    pub fn directory(mut self, path: &str) -> Self {
        self.files.push((path.to_owned(), Entry::Directory));
        self
    }

    /// Says a key of the target's table.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// # use synth_core::testkit::TestPipeline;
    /// let pipeline = TestPipeline::new(Greet).file("names.txt", "").setting("greeting", 7);
    /// assert_eq!(pipeline.validate()[0].code, "config.settings");
    /// # }
    /// ```
    #[must_use]
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.target = self.target.setting(key, value);
        self
    }

    /// Takes another target than the one called like its kind: with other sources, dependencies,
    /// variables, needs.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() -> Result<(), synth_core::testkit::Failed> {
    /// # use synth_core::testkit::TestPipeline;
    /// use synth_core::ProjectPath;
    ///
    /// let source_path = ProjectPath::parse("people").unwrap_or_default();
    /// let pipeline = TestPipeline::new(Greet)
    ///     .file("people/names.txt", "Ada\n")
    ///     .target(TargetSpec::new("welcome", "greet", source_path));
    /// assert_eq!(pipeline.build()?.outputs.paths(), ["greetings.txt"]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn target(mut self, target: TargetSpec) -> Self {
        self.target = target;
        self
    }

    /// Has the target need another one, which exports these files.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() -> Result<(), synth_core::testkit::Failed> {
    /// # use synth_core::testkit::TestPipeline;
    /// let pipeline = TestPipeline::new(Greet)
    ///     .file("names.txt", "Ada\n")
    ///     .needed("api", [("openapi.json", "{}")]);
    /// pipeline.build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn needed<P: AsRef<str>, C: AsRef<[u8]>>(
        mut self,
        name: &str,
        files: impl IntoIterator<Item = (P, C)>,
    ) -> Self {
        let files = files.into_iter();
        let files = files.map(|(path, contents)| (path.as_ref().to_owned(), Entry::file(contents)));
        self.needed.insert(name.to_owned(), files.collect());
        if !self.target.needs.iter().any(|known| known == name) {
            self.target = self.target.need(name);
        }
        self
    }

    /// Adds a real target beside the one under test, built before those that need it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() -> Result<(), synth_core::testkit::Failed> {
    /// # use synth_core::testkit::TestPipeline;
    /// use synth_core::ProjectPath;
    ///
    /// let first = TargetSpec::new("first", "greet", ProjectPath::root());
    /// let second = TargetSpec::new("second", "greet", ProjectPath::root()).need("first");
    /// let pipeline = TestPipeline::new(Greet)
    ///     .file("names.txt", "Ada\n")
    ///     .target(second)
    ///     .with(Greet, first);
    /// pipeline.build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with(mut self, kind: impl BuildTarget + 'static, target: TargetSpec) -> Self {
        self.others.push((Arc::new(kind), target));
        self
    }

    /// Pretends that a tool is installed, for plans: it is not run. Tools that nobody pretends
    /// are looked for on the `PATH`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use synth_core::testkit::TestPipeline;
    /// use synth_core::{Digest, Tool};
    ///
    /// let pipeline = TestPipeline::new(Greet).file("names.txt", "").tool(Tool {
    ///     name: "npm".into(),
    ///     path: "/usr/bin/npm".into(),
    ///     version_output: "10.9.2".into(),
    ///     digest: Digest::new("0".repeat(64), 0)?,
    /// });
    /// pipeline.plan()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn tool(mut self, tool: Tool) -> Self {
        self.tools.insert(tool.name.clone(), Pretended::Tool(tool));
        self
    }

    /// Pretends that a tool is installed, which is this script: it is run where the tool would
    /// be. It is not asked for its version; `version_output` is what it would say.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// # use synth_core::testkit::TestPipeline;
    /// let pipeline = TestPipeline::new(Greet).script_tool(
    ///     "cc",
    ///     "cc 13.2.0",
    ///     "#!/bin/sh\necho compiled > app\n",
    /// );
    /// # }
    /// ```
    #[must_use]
    pub fn script_tool(mut self, name: &str, version_output: &str, script: &str) -> Self {
        let program = Pretended::Program {
            version_output: version_output.to_owned(),
            bytes: script.into(),
        };
        self.tools.insert(name.to_owned(), program);
        self
    }

    /// Pretends that a tool is not installed.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// # use synth_core::testkit::TestPipeline;
    /// let pipeline = TestPipeline::new(Greet).without_tool("cc");
    /// # }
    /// ```
    #[must_use]
    pub fn without_tool(mut self, name: &str) -> Self {
        self.tools.insert(name.to_owned(), Pretended::Missing);
        self
    }

    /// Takes a variable to be set in the user's environment. Actions see it if they ask for it
    /// (`pass_environment`); nothing else is handed on.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// # use synth_core::testkit::TestPipeline;
    /// let pipeline = TestPipeline::new(Greet).user_variable("HTTPS_PROXY", "http://proxy");
    /// # }
    /// ```
    #[must_use]
    pub fn user_variable(mut self, name: &str, value: &str) -> Self {
        let variables = &mut self.run.user_variables;
        variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Tells each native action to stop when it asks for the time after the `polls`th. One that
    /// never asks goes on to its end.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// # use synth_core::testkit::TestPipeline;
    /// let pipeline = TestPipeline::new(Greet).file("names.txt", "").cancel_after(0);
    /// assert!(pipeline.build().is_ok(), "it has nothing to be interrupted in");
    /// # }
    /// ```
    #[must_use]
    pub fn cancel_after(mut self, polls: u32) -> Self {
        self.run.cancel_after = Some(polls);
        self
    }

    /// Leaves it at the plan in the conformance checks: what it runs is not there in tests, such
    /// as a package index or a daemon.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// # use synth_core::testkit::TestPipeline;
    /// let pipeline = TestPipeline::new(Greet).file("names.txt", "").plan_only();
    /// # }
    /// ```
    #[must_use]
    pub fn plan_only(mut self) -> Self {
        self.plan_only = true;
        self
    }

    /// What the kind says of the target before it plans it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// # use synth_core::testkit::TestPipeline;
    /// assert_eq!(TestPipeline::new(Greet).validate().len(), 1);
    /// # }
    /// ```
    #[must_use]
    pub fn validate(&self) -> Vec<Diagnostic> {
        match self.session() {
            Ok(session) => self.kind.validate(&self.target, &session.context),
            Err(failed) => failed.diagnostics,
        }
    }

    /// The target's plan.
    ///
    /// # Errors
    /// What `validate` or `plan` report, and what makes the plan one that can't be carried out.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() -> Result<(), synth_core::testkit::Failed> {
    /// # use synth_core::testkit::TestPipeline;
    /// let plan = TestPipeline::new(Greet).file("names.txt", "").plan()?;
    /// assert_eq!(plan.actions[0].id, "greet");
    /// # Ok(())
    /// # }
    /// ```
    pub fn plan(&self) -> Result<Plan, Failed> {
        self.session()?.plan(self.kind.as_ref(), &self.target)
    }

    /// The target's plan as text: see [`plan_text`](super::plan_text).
    ///
    /// # Errors
    /// As [`TestPipeline::plan`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() -> Result<(), synth_core::testkit::Failed> {
    /// # use synth_core::testkit::TestPipeline;
    /// let text = TestPipeline::new(Greet).file("names.txt", "").plan_text()?;
    /// assert!(text.starts_with("greet (build): greet everyone\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn plan_text(&self) -> Result<String, Failed> {
        Ok(snapshot::plan_text(&self.plan()?))
    }

    /// Builds the target, and before it the real ones that it needs.
    ///
    /// # Errors
    /// The problems that leave it unbuilt, with the log of the action that failed.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() -> Result<(), synth_core::testkit::Failed> {
    /// # use synth_core::testkit::TestPipeline;
    /// let built = TestPipeline::new(Greet).file("names.txt", "Ada\n").build()?;
    /// assert_eq!(built.log, ["greeting Ada"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn build(&self) -> Result<Built, Failed> {
        self.session()?.build(self, false)
    }

    /// What plans and builds begin with.
    pub(super) fn session(&self) -> Result<Session, Failed> {
        let failed = |problem| Failed::of(&self.target, vec![problem]);
        let wrong = |path: &str, reason: &dyn std::fmt::Display| {
            let message = format!("the test's file `{path}` can't be: {reason}");
            failed(Diagnostic::error("testkit.file", message))
        };
        let tree = |files: &[(String, Entry)]| {
            let mut tree = FileTree::default();
            for (path, entry) in files {
                let at = normal(path).map_err(|error| wrong(path, &error))?;
                tree.insert(&at, entry.clone())
                    .map_err(|error| wrong(path, &error))?;
            }
            Ok(tree)
        };
        let others = self.others.iter().map(|(_, target)| target);
        let outputs = others
            .chain([&self.target])
            .map(|target| target.output_path.clone())
            .collect();
        let tools = Tools::new(&self.tools).map_err(|error| {
            let message = "the test's tools can't be written";
            failed(Diagnostic::error("testkit.tool", message).caused_by(&error))
        })?;
        let mut files = tree(&self.files)?;
        // The sources of a target are a directory, if an empty one.
        let source_path = self.target.source_path.as_str();
        let _ = files.insert(source_path, Entry::Directory);
        Ok(Session {
            context: ProjectContext::new(files, outputs, tools),
            needed: self
                .needed
                .iter()
                .map(|(name, files)| Ok((name.clone(), tree(files)?)))
                .collect::<Result<_, Failed>>()?,
        })
    }
}
