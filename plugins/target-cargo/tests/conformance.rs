//! The promises of the interface, on a program alone, a workspace and a library.

use synth_core::conformance_tests;
use synth_core::testkit::TestPipeline;
use synth_target_cargo::CargoTarget;

const LOCK: &str = "version = 4\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n";

conformance_tests!(
    TestPipeline::new(CargoTarget)
        .file("Cargo.toml", "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        .file("Cargo.lock", LOCK)
        .file("src/main.rs", "fn main() {}\n"),
    TestPipeline::new(CargoTarget)
        .file("Cargo.toml", "[workspace]\nmembers = [\"app\"]\nresolver = \"3\"\n")
        .file("Cargo.lock", LOCK)
        .file("app/Cargo.toml", "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n")
        .file("app/src/lib.rs", "#[unsafe(no_mangle)]\npub extern \"C\" fn answer() -> u32 {\n    42\n}\n")
        .setting("profile", "dev"),
);
