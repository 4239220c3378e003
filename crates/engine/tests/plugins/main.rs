//! A plugin built from source, opened in this process and in one of its own: it gives the same
//! answers either way, and its panics are answers too. `cargo xtask memcheck` runs those in this
//! process under valgrind.
//!
//! The program has a `main` of its own because it is also the host that serves an isolated plugin,
//! as `synth` is.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of a test fail it where they stand"
)]

mod answers;
mod builds;
mod fixture;
mod project;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use synth_engine::plugin::Isolation;

/// The argument that makes this program serve a plugin.
const HOST: &str = "plugin-host";

/// What is tested wherever the plugin is.
type Test = fn(Isolation);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(HOST) {
        let service = arguments.next().unwrap_or_default();
        return match synth_engine::plugin::serve(&service) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let tests: [(&str, Test); 10] = [
        ("the_context_answers", answers::the_context_answers),
        ("it_plans", answers::it_plans),
        ("it_runs", answers::it_runs),
        ("it_says_what_it_needs", answers::it_says_what_it_needs),
        ("it_detects", answers::it_detects),
        ("panics_are_answers", answers::panics_are_answers),
        ("threads_share_it", answers::threads_share_it),
        ("it_builds", builds::it_builds),
        (
            "a_build_without_changes_does_not_open_it",
            builds::a_build_without_changes_does_not_open_it,
        ),
        (
            "one_of_many_that_panics_fails_alone",
            builds::one_of_many_that_panics_fails_alone,
        ),
    ];
    let mut trials = Vec::new();
    for (where_it_is, isolation) in [
        ("in_process", Isolation::None),
        ("isolated", Isolation::Process),
    ] {
        for (name, test) in tests {
            trials.push(trial(&format!("{where_it_is}::{name}"), move || {
                test(isolation);
            }));
        }
    }
    let once: [(&str, fn()); 3] = [
        (
            "in_process::a_library_is_opened_twice",
            answers::a_library_is_opened_twice,
        ),
        (
            "isolated::it_is_what_its_manifest_says",
            answers::it_is_what_its_manifest_says,
        ),
        (
            "isolated::what_it_prints_is_in_the_log",
            answers::what_it_prints_is_in_the_log,
        ),
    ];
    trials.extend(once.map(|(name, test)| trial(name, test)));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}
