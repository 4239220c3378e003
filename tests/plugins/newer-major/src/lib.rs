//! A plugin of an interface with another major version.

#[macro_use]
#[path = "../../manifest.rs"]
mod manifest;

manifest!(manifest_text!(
    "newer-major",
    interface = "1.0.0",
    needs = "1.0.0",
    triple = env!("FIXTURE_TRIPLE")
));
