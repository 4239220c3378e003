//! A plugin that needs a newer minor version of the interface.

#[macro_use]
#[path = "../../manifest.rs"]
mod manifest;

manifest!(manifest_text!(
    "newer-minor-needed",
    interface = "0.9.0",
    needs = "0.9.0",
    triple = env!("FIXTURE_TRIPLE")
));
