//! Tells the crate what it is compiled for and by whom, for the manifests of plugins.

use std::env;

#[expect(
    clippy::disallowed_types,
    reason = "asks the compiler that cargo named for its version, when the crate is built"
)]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    let triple = env::var("TARGET").unwrap_or_default();
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = std::process::Command::new(rustc).arg("--version").output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    println!("cargo::rustc-env=SYNTH_HOST_TRIPLE={triple}");
    println!(
        "cargo::rustc-env=SYNTH_RUSTC={}",
        said.as_deref().unwrap_or("rustc of an unknown version")
    );
}
