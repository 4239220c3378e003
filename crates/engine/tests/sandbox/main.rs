//! The sandbox, seen from inside and tried as an attacker would. `main` is the program's own because
//! it is also the sandbox's host process, as `synth` is. A test of each attack states its result.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of a test fail it where they stand"
)]

mod attacks;
mod builds;
mod ends;
mod layers;
mod machine;
#[path = "../builds/sharing.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod sharing;
mod start_up;
#[path = "../builds/workspace.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod workspace;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// The argument that makes this program the sandbox's host.
const HOST: &str = "sandbox-host";

/// The argument that makes this program start an action and then wait for its own end.
const VICTIM: &str = "victim";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some(HOST) => {
            return match synth_engine::sandbox::serve() {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        Some(VICTIM) => return ends::wait_in_the_sandbox(&arguments.next().unwrap_or_default()),
        _ => {}
    }
    let tests: Vec<(&str, fn())> = [
        attacks::TESTS,
        builds::TESTS,
        ends::TESTS,
        layers::TESTS,
        start_up::TESTS,
    ]
    .concat();
    let trials = tests.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
