//! OCI images on disk (OCI Image Format Specification 1.1): the documents, the layout that holds
//! them, its verification, and the archive that `docker load` reads.

mod blob;
mod docker_archive;
mod layout;
mod model;
pub(crate) mod pax;
mod platform;
mod verify;

pub(crate) use blob::{BlobWriter, FinishedLayer, decompressed};
pub(crate) use docker_archive::read_docker_archive;
pub use docker_archive::{DockerArchiveError, docker_archive};
pub(crate) use layout::{ImageInLayout, LayoutWriter, NamedImage, read_layout};
pub(crate) use model::{ContainerConfig, Healthcheck, History, ImageConfig, RootFs};
pub(crate) use platform::Platform;
pub(crate) use verify::verify;
