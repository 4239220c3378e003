//! An OCI image layout: `oci-layout`, `index.json` and `blobs/sha256`. Writing one image, and
//! reading one out of a layout that may hold several.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::blob::{BlobWriter, FinishedLayer};
use super::model::{
    CONFIG_TYPE, Descriptor, INDEX_TYPE, ImageConfig, Index, LAYER_TYPE, MANIFEST_TYPE, Manifest,
};
use super::platform::Platform;

/// The file that says that a directory is a layout, and of which version.
pub(crate) const MARKER: &str = "oci-layout";
pub(crate) const MARKER_TEXT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// The name of an image within a layout.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The full name of an image: what containerd, and with it Docker, take it by.
const FULL_NAME: &str = "io.containerd.image.name";

/// Why a layout can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayoutError {
    #[error("`{0}` can't be read")]
    Read(PathBuf, #[source] io::Error),
    #[error("`{0}` is not the JSON document it should be")]
    Shape(PathBuf, #[source] serde_json::Error),
    #[error("`{0}` is not `sha256:` and 64 hexadecimal digits")]
    Digest(String),
    #[error("it holds no image")]
    Empty,
    #[error("it holds no image for {wanted}, only for {found}")]
    Platform { wanted: Platform, found: String },
    #[error("it holds several images and none is chosen: {0}")]
    Several(String),
    #[error("it holds no image `{wanted}`, only {found}")]
    Name { wanted: String, found: String },
    #[error("it names {layers} layers but {diff_ids} diff_ids")]
    Layers { layers: usize, diff_ids: usize },
}

/// An image in a layout.
#[derive(Clone, Debug)]
pub(crate) struct ImageInLayout {
    pub(crate) directory: PathBuf,
    /// The manifest's descriptor.
    pub(crate) descriptor: Descriptor,
    pub(crate) manifest: Manifest,
    pub(crate) config: ImageConfig,
}

impl ImageInLayout {
    /// The file of a blob.
    pub(crate) fn blob(&self, descriptor: &Descriptor) -> Result<PathBuf, LayoutError> {
        blob_path(&self.directory, &descriptor.digest)
    }
}

/// The file of a blob in a layout.
pub(crate) fn blob_path(directory: &Path, digest: &str) -> Result<PathBuf, LayoutError> {
    let hexadecimal = digest
        .strip_prefix("sha256:")
        .filter(|rest| rest.len() == 64 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hexadecimal
        .map(|rest| directory.join("blobs/sha256").join(rest))
        .ok_or_else(|| LayoutError::Digest(digest.to_owned()))
}

pub(crate) fn read_json<T: DeserializeOwned>(path: PathBuf) -> Result<T, LayoutError> {
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => return Err(LayoutError::Read(path, error)),
    };
    serde_json::from_slice(&bytes).map_err(|error| LayoutError::Shape(path, error))
}

/// Reads the image of a layout that is named `name` and fits the platform; either may be left
/// open when only one image is there.
pub(crate) fn read_layout(
    directory: &Path,
    name: Option<&str>,
    platform: Option<&Platform>,
) -> Result<ImageInLayout, LayoutError> {
    let index: Index = read_json(directory.join("index.json"))?;
    let names = |descriptor: &Descriptor| {
        [REF_NAME, FULL_NAME].map(|key| descriptor.annotations.get(key).cloned())
    };
    let mut chosen: Vec<&Descriptor> = index.manifests.iter().collect();
    if let Some(wanted) = name {
        chosen.retain(|descriptor| {
            let is_it = |name: &String| name == wanted || descriptor.digest == wanted;
            names(descriptor).iter().flatten().any(is_it) || descriptor.digest == wanted
        });
        if chosen.is_empty() {
            let found: Vec<String> = index.manifests.iter().flat_map(names).flatten().collect();
            return Err(LayoutError::Name {
                wanted: wanted.to_owned(),
                found: found.join(", "),
            });
        }
    }
    let descriptor = one_image(directory, &chosen, platform)?;
    let manifest: Manifest = read_json(blob_path(directory, &descriptor.digest)?)?;
    let config: ImageConfig = read_json(blob_path(directory, &manifest.config.digest)?)?;
    let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if layers != diff_ids {
        return Err(LayoutError::Layers { layers, diff_ids });
    }
    Ok(ImageInLayout {
        directory: directory.to_owned(),
        descriptor,
        manifest,
        config,
    })
}

/// The one image among descriptors that fits, indexes looked into.
fn one_image(
    directory: &Path,
    descriptors: &[&Descriptor],
    platform: Option<&Platform>,
) -> Result<Descriptor, LayoutError> {
    let mut manifests: Vec<Descriptor> = Vec::new();
    for descriptor in descriptors {
        if descriptor.media_type == INDEX_TYPE || descriptor.media_type.contains("manifest.list") {
            let index: Index = read_json(blob_path(directory, &descriptor.digest)?)?;
            manifests.extend(index.manifests);
        } else {
            manifests.push((*descriptor).clone());
        }
    }
    let all = manifests.clone();
    // What says no platform fits any; attestations say `unknown/unknown`.
    manifests.retain(|descriptor| match (platform, &descriptor.platform) {
        (Some(platform), Some(offered)) => platform.accepts(offered),
        (None, Some(offered)) => offered.os != "unknown",
        (_, None) => true,
    });
    let Some(first) = manifests.first().cloned() else {
        return Err(match platform.filter(|_| !all.is_empty()) {
            None => LayoutError::Empty,
            Some(platform) => {
                let offered = all
                    .iter()
                    .filter_map(|descriptor| descriptor.platform.as_ref());
                let offered: Vec<String> = offered.map(ToString::to_string).collect();
                LayoutError::Platform {
                    wanted: platform.clone(),
                    found: offered.join(", "),
                }
            }
        });
    };
    // One image under several names is one image.
    if manifests.iter().all(|other| other.digest == first.digest) {
        return Ok(first);
    }
    let names: Vec<String> = manifests
        .iter()
        .map(|descriptor| {
            let name = descriptor.annotations.get(REF_NAME);
            name.unwrap_or(&descriptor.digest).clone()
        })
        .collect();
    Err(LayoutError::Several(names.join(", ")))
}

/// Writes a layout with one image.
pub(crate) struct LayoutWriter {
    directory: PathBuf,
    blobs: BlobWriter,
    layers: Vec<Descriptor>,
    diff_ids: Vec<String>,
}

/// What a finished layout holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedImage {
    /// The manifest's digest.
    pub(crate) digest: String,
    pub(crate) platform: Platform,
    pub(crate) layers: usize,
}

impl LayoutWriter {
    pub(crate) fn new(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self {
            blobs: BlobWriter::new(directory.join("blobs/sha256"))?,
            directory: directory.to_owned(),
            layers: Vec::new(),
            diff_ids: Vec::new(),
        })
    }

    pub(crate) fn blobs(&self) -> &BlobWriter {
        &self.blobs
    }

    /// Adds a layer whose blob is written.
    pub(crate) fn add(&mut self, layer: FinishedLayer) {
        self.layers.push(Descriptor {
            media_type: LAYER_TYPE.into(),
            digest: layer.digest,
            size: layer.size,
            platform: None,
            annotations: BTreeMap::new(),
        });
        self.diff_ids.push(layer.diff_id);
    }

    /// Adds the layers of another image as they are.
    pub(crate) fn add_base(&mut self, base: &ImageInLayout) -> Result<(), LayoutError> {
        for (layer, diff_id) in base
            .manifest
            .layers
            .iter()
            .zip(&base.config.rootfs.diff_ids)
        {
            let source = base.blob(layer)?;
            self.blobs
                .copy_from(&source, &layer.digest)
                .map_err(|error| LayoutError::Read(source, error))?;
            let mut layer = layer.clone();
            layer.media_type = oci_layer_type(&layer.media_type);
            self.layers.push(layer);
            self.diff_ids.push(diff_id.clone());
        }
        Ok(())
    }

    /// Writes the documents. The image gets a descriptor for each of its names.
    pub(crate) fn finish(self, mut config: ImageConfig, tags: &[String]) -> io::Result<NamedImage> {
        config.rootfs.diff_ids = self.diff_ids;
        let platform = Platform {
            architecture: config.architecture.clone(),
            os: config.os.clone(),
            variant: config.variant.clone(),
        };
        let config = document(&self.blobs, CONFIG_TYPE, &config)?;
        let layers = self.layers.len();
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST_TYPE.into()),
            config,
            layers: self.layers,
        };
        let mut manifest = document(&self.blobs, MANIFEST_TYPE, &manifest)?;
        let digest = manifest.digest.clone();
        manifest.platform = Some(platform.clone());
        let index = Index {
            schema_version: 2,
            media_type: Some(INDEX_TYPE.into()),
            manifests: named_descriptors(&manifest, tags),
        };
        fs::write(
            self.directory.join("index.json"),
            serde_json::to_vec(&index)?,
        )?;
        fs::write(self.directory.join(MARKER), MARKER_TEXT)?;
        Ok(NamedImage {
            digest,
            platform,
            layers,
        })
    }
}

/// An image's descriptor once for each of its names; without names, once.
pub(crate) fn named_descriptors(image: &Descriptor, tags: &[String]) -> Vec<Descriptor> {
    let unnamed = Descriptor {
        annotations: BTreeMap::new(),
        ..image.clone()
    };
    if tags.is_empty() {
        return vec![unnamed];
    }
    tags.iter()
        .map(|tag| Descriptor {
            annotations: names(tag),
            ..unnamed.clone()
        })
        .collect()
}

/// Docker's own layer types are the same bytes under other names.
fn oci_layer_type(media_type: &str) -> String {
    match media_type {
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => LAYER_TYPE,
        "application/vnd.docker.image.rootfs.diff.tar" => "application/vnd.oci.image.layer.v1.tar",
        other => other,
    }
    .to_owned()
}

fn document(
    blobs: &BlobWriter,
    media_type: &str,
    document: &impl serde::Serialize,
) -> io::Result<Descriptor> {
    let bytes = serde_json::to_vec(document)?;
    Ok(Descriptor {
        media_type: media_type.into(),
        digest: blobs.bytes(&bytes)?,
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        platform: None,
        annotations: BTreeMap::new(),
    })
}

/// The annotations of an image with a name. Within the layout it goes by its tag alone.
fn names(name: &str) -> BTreeMap<String, String> {
    let tag = crate::reference::tag(name).unwrap_or("latest");
    BTreeMap::from([
        (REF_NAME.to_owned(), tag.to_owned()),
        (FULL_NAME.to_owned(), crate::reference::full_name(name)),
    ])
}
