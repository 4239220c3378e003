//! Reads an OCI image layout: its blobs by digest, and the files of its layers.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::workspace::text;

/// The files of the image in a layout, as a container would see them: lower layers first,
/// whiteouts carried out.
pub(crate) fn files(layout: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for layer in manifest(layout)["layers"].as_array().unwrap() {
        let blob = File::open(blob(layout, layer)).unwrap();
        let reader: Box<dyn Read> = match text(&layer["mediaType"]) {
            media_type if media_type.ends_with("+gzip") => Box::new(MultiGzDecoder::new(blob)),
            media_type if media_type.ends_with(".tar") => Box::new(blob),
            other => panic!("a layer of type {other}"),
        };
        for entry in tar::Archive::new(reader).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if let Some(removed) = name.strip_prefix(".wh.") {
                let removed = format!("{directory}/{removed}");
                files.retain(|path: &String, _| !path.starts_with(&removed));
            } else if entry.header().entry_type().is_file() {
                let mut contents = Vec::new();
                entry.read_to_end(&mut contents).unwrap();
                files.insert(path, contents);
            }
        }
    }
    files
}

/// The image's configuration.
pub(crate) fn configuration(layout: &Path) -> Value {
    read(&blob(layout, &manifest(layout)["config"]))
}

fn manifest(layout: &Path) -> Value {
    let index = read(&layout.join("index.json"));
    read(&blob(layout, &index["manifests"][0]))
}

fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    let digest = text(&descriptor["digest"]).replace(':', "/");
    layout.join("blobs").join(digest)
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}
