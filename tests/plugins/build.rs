//! Tells the crate what it is compiled for, for a manifest that is written by hand.

fn main() {
    println!("cargo::rerun-if-changed=../build.rs");
    let triple = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=FIXTURE_TRIPLE={triple}");
}
