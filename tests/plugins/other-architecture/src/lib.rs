//! A plugin whose manifest says that it is for another machine.

#[macro_use]
#[path = "../../manifest.rs"]
mod manifest;

manifest!(manifest_text!(
    "other-architecture",
    interface = "0.1.0",
    needs = "0.1.0",
    triple = "riscv64gc-unknown-linux-gnu"
));
