//! Building through a Docker engine: for `RUN` and images of registries. `probe` finds a client
//! whose engine answers, `build` has it build, `convert` makes a reproducible OCI layout of what
//! it saved.

mod build;
mod convert;
mod failure;
mod probe;
mod rewrite;

pub(crate) use build::{build, pass_environment};
pub(crate) use probe::{find, request};
