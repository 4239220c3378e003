//! The sandbox, from the inside and as an attacker would try it. This program is the sandbox's
//! host too, so it brings a harness of its own.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "the helpers of a test fail it")
)]

mod start_up;

fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some(HOST) {
        return match synth_engine::sandbox::serve() {
            Ok(()) => std::process::ExitCode::SUCCESS,
            Err(_) => std::process::ExitCode::FAILURE,
        };
    }
    start_up::measure();
    std::process::ExitCode::SUCCESS
}

/// The word that makes this program the sandbox's host.
const HOST: &str = "sandbox-host";
