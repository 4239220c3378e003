//! The test kit: plans and builds a target kind in tests, without the engine, and checks that it
//! keeps the promises of the interface. A feature of this crate, for `[dev-dependencies]`:
//!
//! ```toml
//! [dev-dependencies]
//! synth-core = { version = "0.1", features = ["testkit"] }
//! ```
//!
//! A pipeline of a test is a project in memory and a target in it:
//! [`TestPipeline::new`]`(MyTarget)`, files, settings, tools. It is planned, built, or given to
//! the conformance checks. A complete test file, for a kind that greets everyone in `names.txt`:
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
//! // use synth_target_greet::Greet;
//! use synth_core::testkit::{Failed, TestPipeline};
//!
//! fn greeting() -> TestPipeline {
//!     TestPipeline::new(Greet)
//!         .file("names.txt", "Ada\nGrace\n")
//!         .setting("greeting", "Good morning")
//! }
//!
//! // The promises of the interface, a test for each.
//! synth_core::conformance_tests!(greeting());
//!
//! #[test]
//! # fn attributes_are_left_out_here() {}
//! fn everyone_is_greeted() -> Result<(), Failed> {
//!     let built = greeting().build()?;
//!     assert_eq!(
//!         built.outputs.text("greetings.txt"),
//!         Some("Good morning, Ada!\nGood morning, Grace!\n")
//!     );
//!     assert_eq!(built.artifacts[0].kind, "greet.text");
//!     Ok(())
//! }
//!
//! #[test]
//! # fn and_here() {}
//! fn the_plan() -> Result<(), Failed> {
//!     // With insta: `insta::assert_snapshot!(greeting().plan_text()?, @"..")`.
//!     assert_eq!(
//!         greeting().plan_text()?,
//!         r#"greet (build): greet everyone
//!   native greet {"greeting":"Good morning"}
//!   in . from the sources below ., only names.txt
//!   out greetings: file greetings.txt
//!
//! export greetings of greet to greetings.txt
//! artifact greet.text: *.txt
//! "#
//!     );
//!     Ok(())
//! }
//!
//! #[test]
//! # fn and_there() {}
//! fn a_project_without_names_is_reported() {
//!     let problems = TestPipeline::new(Greet).validate();
//!     assert_eq!(problems[0].code, "greet.names.missing");
//! }
//! # fn main() -> Result<(), Failed> {
//! #     everyone_is_greeted()?;
//! #     the_plan()?;
//! #     a_project_without_names_is_reported();
//! #     Ok(())
//! # }
//! ```
//!
//! The first run of the tests writes `synth-target.json` beside `Cargo.toml`, says so and fails;
//! the second one passes. The file is embedded in the plugin, and belongs into the repository.
//!
//! What the kit does not do: it has no cache, runs one action after the other, does not put
//! outputs in place, and does not check settings against the schema, which the engine does before
//! a kind sees them.
#![allow(
    clippy::test_attr_in_doctest,
    reason = "the page shows a test file; what its tests do is run"
)]

mod action;
mod build;
mod conformance;
mod context;
mod native;
mod outputs;
mod panics;
mod patterns;
mod pipeline;
mod process;
mod project;
mod record;
mod run;
mod sandbox;
mod snapshot;
mod soundness;
#[cfg(test)]
mod tests;
mod tools;
mod tree;

pub use build::{Built, BuiltArtifact, Failed};
pub use conformance::{Check, Conformance};
pub use pipeline::TestPipeline;
pub use project::TestProject;
pub use run::TestRun;
pub use snapshot::plan_text;
pub use tree::FileTree;

use crate::{Diagnostic, Severity};

/// Tests that a target kind keeps the promises of the interface, one for each
/// [`Check`](crate::testkit::Check). The arguments are expressions that make a
/// [`TestPipeline`](crate::testkit::TestPipeline) each: the simplest one, and one for each thing
/// that the kind's plans depend on.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
/// # fn main() {}
/// use synth_core::testkit::TestPipeline;
///
/// synth_core::conformance_tests!(
///     TestPipeline::new(Greet).file("names.txt", "Ada\n"),
///     TestPipeline::new(Greet).file("names.txt", "").setting("greeting", ""),
/// );
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($($pipeline:expr),+ $(,)?) => {
        #[cfg(test)]
        fn conformance() -> $crate::testkit::Conformance {
            $crate::testkit::Conformance::new([$($pipeline),+]).of_crate(
                env!("CARGO_PKG_NAME"),
                env!("CARGO_PKG_VERSION"),
                env!("CARGO_MANIFEST_DIR"),
            )
        }

        #[test]
        fn conformance_description() {
            conformance().assert($crate::testkit::Check::Description);
        }

        #[test]
        fn conformance_description_file() {
            conformance().assert($crate::testkit::Check::DescriptionFile);
        }

        #[test]
        fn conformance_settings() {
            conformance().assert($crate::testkit::Check::Settings);
        }

        #[test]
        fn conformance_plan() {
            conformance().assert($crate::testkit::Check::Plan);
        }

        #[test]
        fn conformance_build() {
            conformance().assert($crate::testkit::Check::Build);
        }

        #[test]
        fn conformance_messages() {
            conformance().assert($crate::testkit::Check::Messages);
        }
    };
}

/// A diagnostic for a person who reads the output of a test.
fn in_words(diagnostic: &Diagnostic) -> String {
    let severity = match diagnostic.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let mut words = format!("{severity} {}: {}\n", diagnostic.code, diagnostic.message);
    for cause in &diagnostic.causes {
        words.push_str(&format!("  because: {cause}\n"));
    }
    for help in &diagnostic.help {
        words.push_str(&format!("  help: {help}\n"));
    }
    words
}

/// A temporary directory of the kit, under its real name: nothing in it lies behind a link.
fn temporary_directory() -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("synth-testkit-")
        .tempdir_in(std::fs::canonicalize(std::env::temp_dir())?)
}
