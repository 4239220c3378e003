//! Checks that a target kind keeps the promises of the interface: what the engine, the cache and
//! other people's pipelines rely on.

mod building;
mod description;
mod generate;
mod messages;
mod planning;
mod settings;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde_json::Value;

use super::TestPipeline;
use crate::Diagnostic;

/// One of the promises.
///
/// ```
/// use synth_core::testkit::Check;
///
/// let names: Vec<&str> = Check::ALL.iter().map(|check| check.name()).collect();
/// assert_eq!(
///     names,
///     ["description", "description file", "settings", "plan", "build", "messages"]
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// `describe` gives the same answer each time, and one that the engine can use.
    Description,
    /// `synth-target.json`, which is embedded in the plugin, says what `describe` says. It is
    /// rewritten when it does not, unless the variable `CI` is set.
    DescriptionFile,
    /// Whatever the settings are, `validate` and `plan` report what is wrong and never panic; and
    /// what they accept becomes a plan that can be carried out.
    Settings,
    /// The same settings and files give the same plan, it rests on nothing but what was asked of
    /// the context, and it can be carried out.
    Plan,
    /// Actions leave what they declare; native ones the same each time, from nothing but their
    /// inputs.
    Build,
    /// What is said survives being written and read, by newer and older sides too.
    Messages,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Description,
        Self::DescriptionFile,
        Self::Settings,
        Self::Plan,
        Self::Build,
        Self::Messages,
    ];

    /// What it is called.
    ///
    /// ```
    /// use synth_core::testkit::Check;
    ///
    /// assert_eq!(Check::DescriptionFile.name(), "description file");
    /// ```
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Description => "description",
            Self::DescriptionFile => "description file",
            Self::Settings => "settings",
            Self::Plan => "plan",
            Self::Build => "build",
            Self::Messages => "messages",
        }
    }
}

/// The checks of a target kind, on the pipelines that its tests give:
/// [`conformance_tests!`](crate::conformance_tests) makes tests of them.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
/// # fn main() {
/// use synth_core::testkit::{Check, Conformance, TestPipeline};
///
/// let greeting = TestPipeline::new(Greet).file("names.txt", "Ada\n");
/// let conformance = Conformance::new([greeting]);
/// conformance.assert(Check::Plan);
/// assert!(conformance.findings(Check::Description).is_empty());
/// # }
/// ```
#[derive(Clone)]
pub struct Conformance {
    pipelines: Vec<TestPipeline>,
    identity: Option<CrateIdentity>,
    may_write: bool,
}

/// The crate that the tests belong to.
#[derive(Clone, Debug)]
struct CrateIdentity {
    name: String,
    version: String,
    directory: PathBuf,
}

impl Conformance {
    /// The checks on these pipelines: at least one, each with a target that can be planned.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// use synth_core::testkit::{Check, Conformance};
    ///
    /// let findings = Conformance::new([]).findings(Check::Plan);
    /// assert_eq!(findings[0].code, "conformance.pipelines");
    /// # }
    /// ```
    pub fn new(pipelines: impl IntoIterator<Item = TestPipeline>) -> Self {
        Self {
            pipelines: pipelines.into_iter().collect(),
            identity: None,
            may_write: std::env::var_os("CI").is_none(),
        }
    }

    /// Says which crate the target kind is of, what `CARGO_PKG_NAME`, `CARGO_PKG_VERSION` and
    /// `CARGO_MANIFEST_DIR` are in it. Without that, nothing is compared with the crate, and
    /// [`Check::DescriptionFile`] finds nothing.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// use synth_core::testkit::{Check, Conformance, TestPipeline};
    ///
    /// let greeting = TestPipeline::new(Greet).file("names.txt", "Ada\n");
    /// let conformance = Conformance::new([greeting]).of_crate("other", "0.1.0", "/somewhere");
    /// assert_eq!(
    ///     conformance.findings(Check::Description)[0].message,
    ///     "`describe` says that the crate is `synth-target-greet`, but it is `other`"
    /// );
    /// # }
    /// ```
    #[must_use]
    pub fn of_crate(
        mut self,
        name: impl Into<String>,
        version: impl Into<String>,
        directory: impl Into<PathBuf>,
    ) -> Self {
        self.identity = Some(CrateIdentity {
            name: name.into(),
            version: version.into(),
            directory: directory.into(),
        });
        self
    }

    /// Leaves `synth-target.json` as it is, as where the variable `CI` is set.
    ///
    /// ```
    /// use synth_core::testkit::Conformance;
    ///
    /// let conformance = Conformance::new([]).without_writing();
    /// ```
    #[must_use]
    pub fn without_writing(mut self) -> Self {
        self.may_write = false;
        self
    }

    /// What a check finds; nothing is what is wanted.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// use synth_core::testkit::{Check, Conformance, TestPipeline};
    ///
    /// let without_names = Conformance::new([TestPipeline::new(Greet)]);
    /// let findings = without_names.findings(Check::Build);
    /// assert_eq!(findings[0].code, "conformance.build.failed");
    /// # }
    /// ```
    #[must_use]
    pub fn findings(&self, check: Check) -> Vec<Diagnostic> {
        if self.pipelines.is_empty() {
            let problem =
                Diagnostic::error("conformance.pipelines", "there is no pipeline to check")
                    .help("give at least one: `TestPipeline::new(MyTarget).file(..)`");
            return vec![problem];
        }
        match check {
            Check::Description => description::check(&self.kinds(), self.identity.as_ref()),
            Check::DescriptionFile => {
                let kinds = self.kinds();
                let identity = self.identity.as_ref();
                identity.map_or_else(Vec::new, |identity| {
                    description::check_file(&kinds, &identity.directory, self.may_write)
                })
            }
            Check::Settings => settings::check(&self.pipelines),
            Check::Plan => self.each(planning::check),
            Check::Build => self.each(building::check),
            Check::Messages => self.each(messages::check),
        }
    }

    /// Panics with all that a check finds.
    ///
    /// # Panics
    /// When it finds something.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() {
    /// use synth_core::testkit::{Check, Conformance, TestPipeline};
    ///
    /// let greeting = TestPipeline::new(Greet).file("names.txt", "Ada\n");
    /// Conformance::new([greeting]).assert(Check::Messages);
    /// # }
    /// ```
    #[track_caller]
    pub fn assert(&self, check: Check) {
        let findings = self.findings(check);
        #[expect(clippy::panic, reason = "a test fails by panicking")]
        if !findings.is_empty() {
            let words: String = findings.iter().map(super::in_words).collect();
            panic!(
                "the target kind breaks a promise of the interface ({})\n{words}",
                check.name()
            );
        }
    }

    /// The pipelines' kinds, each once: those of the same name are taken to be the same.
    fn kinds(&self) -> Vec<&TestPipeline> {
        let mut kinds: Vec<&TestPipeline> = Vec::new();
        for pipeline in &self.pipelines {
            let is_other = |known: &&TestPipeline| known.target.kind != pipeline.target.kind;
            if kinds.iter().all(is_other) {
                kinds.push(pipeline);
            }
        }
        kinds
    }

    fn each(&self, check: fn(&TestPipeline) -> Vec<Diagnostic>) -> Vec<Diagnostic> {
        let mut findings = Vec::new();
        for (index, pipeline) in self.pipelines.iter().enumerate() {
            let name = &pipeline.target.name;
            findings.extend(check(pipeline).into_iter().map(
                |finding| match self.pipelines.len() {
                    1 => finding,
                    count => finding.cause(format!(
                        "in pipeline {} of {count}, target `{name}`",
                        index + 1
                    )),
                },
            ));
        }
        findings
    }
}

/// Where one question was answered in two ways.
fn change(first: &Value, then: &Value) -> String {
    difference(first, then, ["the first time", "the second time"])
}

/// Where two values first differ, and how. `names` are what they are called.
fn difference(first: &Value, then: &Value, names: [&str; 2]) -> String {
    fn find(first: &Value, then: &Value, names: [&str; 2], path: &mut String) -> Option<String> {
        let below = |key: &str, first, then, path: &mut String| {
            let length = path.len();
            path.push_str(key);
            let found = find(first, then, names, path);
            path.truncate(length);
            found
        };
        match (first, then) {
            (Value::Object(a), Value::Object(b)) => {
                let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
                let none = Value::Null;
                keys.into_iter().find_map(|key| {
                    let (a, b) = (a.get(key).unwrap_or(&none), b.get(key).unwrap_or(&none));
                    below(&format!(".{key}"), a, b, path)
                })
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                let mut pairs = a.iter().zip(b).enumerate();
                pairs.find_map(|(index, (a, b))| below(&format!("[{index}]"), a, b, path))
            }
            _ if first == then => None,
            _ => Some(format!(
                "`{}` is {} {} and {} {}",
                path.trim_start_matches('.'),
                shown(first),
                names[0],
                shown(then),
                names[1],
            )),
        }
    }
    find(first, then, names, &mut String::new()).unwrap_or_default()
}

/// A value, not more of it than helps.
fn shown(value: &Value) -> String {
    const MOST_CHARACTERS: usize = 300;
    let text = value.to_string();
    match text.char_indices().nth(MOST_CHARACTERS) {
        None => text,
        Some((end, _)) => format!("{}.. ({} characters)", &text[..end], text.chars().count()),
    }
}
