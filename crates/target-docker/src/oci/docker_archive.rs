//! The archive of `docker save` and `docker load`: written from an OCI layout, and its documents
//! read back from what an engine saved.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layout::{LayoutError, read_layout};
use super::model::Index;

/// Why a layout can't be written as an archive.
#[derive(Debug, thiserror::Error)]
pub enum DockerArchiveError {
    /// The directory holds no readable OCI layout with one image.
    #[error("`{directory}` is not an OCI image layout that can be loaded: {reason}")]
    Layout {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The archive can't be written.
    #[error("the archive can't be written")]
    Write(#[from] io::Error),
}

/// One image of an archive: `manifest.json` holds a list of these (Docker Image Specification
/// v1.2, "Combined Image JSON + Filesystem Changeset Format").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ArchivedImage {
    pub(crate) config: String,
    #[serde(default)]
    pub(crate) repo_tags: Option<Vec<String>>,
    pub(crate) layers: Vec<String>,
}

/// Writes the image of the OCI layout in `layout` as an archive for `docker load`, under the
/// names `tags` (`storefront:1.0`). The same layout and names give the same bytes.
///
/// The archive is an OCI layout itself, with the `manifest.json` beside it that older engines
/// read, so it can be loaded by any of them.
///
/// # Errors
/// When `layout` holds no image, or more than one, or the writer fails.
pub fn docker_archive(
    layout: &Path,
    writer: impl Write,
    tags: &[String],
) -> Result<(), DockerArchiveError> {
    let unfit = |error: LayoutError| DockerArchiveError::Layout {
        directory: layout.to_owned(),
        reason: chain(&error),
    };
    let image = read_layout(layout, None, None).map_err(unfit)?;
    let mut blobs = BTreeMap::new();
    let documents = [&image.descriptor, &image.manifest.config];
    for descriptor in documents.into_iter().chain(&image.manifest.layers) {
        let path = image.blob(descriptor).map_err(unfit)?;
        blobs.insert(blob_name(&descriptor.digest), path);
    }
    let manifest = vec![ArchivedImage {
        config: blob_name(&image.manifest.config.digest),
        repo_tags: Some(tags.to_vec()),
        layers: image
            .manifest
            .layers
            .iter()
            .map(|layer| blob_name(&layer.digest))
            .collect(),
    }];
    let index = Index {
        schema_version: 2,
        media_type: None,
        manifests: super::layout::named_descriptors(&image.descriptor, tags),
    };
    let mut archive = tar::Builder::new(writer);
    for directory in ["blobs/", "blobs/sha256/"] {
        let mut header = header(0, 0o755);
        header.set_entry_type(tar::EntryType::Directory);
        archive.append_data(&mut header, directory, io::empty())?;
    }
    for (name, path) in &blobs {
        let file = File::open(path)?;
        archive.append_data(&mut header(file.metadata()?.len(), 0o644), name, file)?;
    }
    for (name, bytes) in [
        (
            "index.json",
            serde_json::to_vec(&index).map_err(io::Error::other)?,
        ),
        (
            "manifest.json",
            serde_json::to_vec(&manifest).map_err(io::Error::other)?,
        ),
        (
            super::layout::MARKER,
            super::layout::MARKER_TEXT.as_bytes().to_vec(),
        ),
    ] {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        archive.append_data(&mut header(size, 0o644), name, bytes.as_slice())?;
    }
    archive.into_inner()?.flush()?;
    Ok(())
}

fn blob_name(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

/// Unpacks what `docker save` wrote and returns its only image, file names resolved.
///
/// # Errors
/// When the archive is damaged or holds not exactly one image.
pub(crate) fn read_docker_archive(archive: &Path, directory: &Path) -> io::Result<ArchivedImage> {
    fs::create_dir_all(directory)?;
    let mut unpacking = tar::Archive::new(File::open(archive)?);
    unpacking.set_preserve_mtime(false);
    unpacking.unpack(directory)?;
    let bytes = fs::read(directory.join("manifest.json"))?;
    let images: Vec<ArchivedImage> = serde_json::from_slice(&bytes)?;
    match <[ArchivedImage; 1]>::try_from(images) {
        Ok([image]) => Ok(image),
        Err(images) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("one image was saved, {} are in the archive", images.len()),
        )),
    }
}
