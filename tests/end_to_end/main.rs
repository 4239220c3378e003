//! What a user sees of the built binary, with real tools and real projects. `cargo xtask e2e`
//! installs those, and hands them over in the variables that `workspace` reads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod advice;
mod bad_configuration;
mod bad_sources;
mod broken_plugins;
mod cache;
mod commands;
mod configuration;
mod docker_engine;
mod effects;
mod failures;
mod guide;
mod history;
mod image;
mod incremental;
mod init;
mod kill;
mod linked_or_loaded;
mod node;
mod plugin_commands;
mod plugin_fixtures;
mod publishes;
mod python;
mod real_projects;
mod reproducible;
mod retries;
mod soak;
mod storefront;
mod unusable_plugins;
mod workspace;
