//! The embedded builder: an image from a Dockerfile without `RUN`, in process, without a daemon
//! and without root. `tree` is a stage's file system, `copy` changes it, `layer` writes what
//! changed.

mod build;
mod copy;
mod layer;
mod tree;
mod users;

pub(crate) use build::build;
