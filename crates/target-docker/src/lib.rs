//! Dockerfile to OCI image: the target kind `docker`.
//!
//! `dockerfile` reads a Dockerfile, `analysis` says what it takes and who has to build it,
//! `embedded` builds without a daemon, `engine` has a Docker engine build, and `oci` is the image
//! on disk that both leave.

mod advice;
mod analysis;
mod context_files;
mod create;
mod detect;
mod dockerfile;
mod embedded;
mod engine;
mod evaluate;
mod ignore;
mod image_config;
mod mode;
mod nearest;
mod oci;
mod parameters;
mod paths;
mod pattern;
mod reference;
mod settings;
mod stages;
mod target;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod time;
mod variables;

pub use create::create_docker_build_target;
pub use oci::{DockerArchiveError, docker_archive};
pub use target::DockerTarget;
