//! Proof that a layout is whole: every digest, every size and every `diff_id` computed again.

use std::fs;
use std::path::Path;

use synth_core::Diagnostic;

use super::blob::{decompressed, sha256_of_file, sha256_of_reader};
use super::layout::{LayoutError, MARKER, blob_path, read_json};
use super::model::{Descriptor, ImageConfig, Index, MANIFEST_TYPE, Manifest};

/// Checks every image of a layout; the problems, or nothing.
pub(crate) fn verify(directory: &Path) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    match fs::read_to_string(directory.join(MARKER)) {
        Ok(text) if text.contains("1.0.0") => {}
        Ok(text) => problems.push(wrong(format!("`{MARKER}` names no known version: {text}"))),
        Err(error) => problems.push(wrong(format!("`{MARKER}` can't be read: {error}"))),
    }
    let index: Index = match read_json(directory.join("index.json")) {
        Ok(index) => index,
        Err(error) => {
            problems.push(unreadable(&error));
            return problems;
        }
    };
    let mut digests: Vec<&str> = Vec::new();
    for descriptor in &index.manifests {
        // One image under two names is looked at once.
        if !digests.contains(&descriptor.digest.as_str()) {
            digests.push(&descriptor.digest);
            image(directory, descriptor, &mut problems);
        }
    }
    if index.manifests.is_empty() {
        problems.push(wrong("`index.json` names no image".into()));
    }
    problems
}

fn image(directory: &Path, descriptor: &Descriptor, problems: &mut Vec<Diagnostic>) {
    if descriptor.media_type != MANIFEST_TYPE {
        let found = &descriptor.media_type;
        problems.push(wrong(format!("`{found}` is not an image's manifest")));
        return;
    }
    let Some(manifest) = checked::<Manifest>(directory, descriptor, problems) else {
        return;
    };
    let Some(config) = checked::<ImageConfig>(directory, &manifest.config, problems) else {
        return;
    };
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != manifest.layers.len() {
        problems.push(wrong(format!(
            "the manifest has {} layers, the configuration {}",
            manifest.layers.len(),
            diff_ids.len()
        )));
    }
    let in_history = config.history.iter().filter(|entry| !entry.empty_layer);
    let in_history = in_history.count();
    if in_history != 0 && in_history != diff_ids.len() {
        problems.push(wrong(format!(
            "the history tells of {in_history} layers, there are {}",
            diff_ids.len()
        )));
    }
    for (layer, diff_id) in manifest.layers.iter().zip(diff_ids) {
        let Some(()) = bytes_are_right(directory, layer, problems) else {
            continue;
        };
        let actual = blob_path(directory, &layer.digest)
            .ok()
            .map(|path| decompressed(&path).and_then(sha256_of_reader));
        match actual {
            Some(Ok((actual, _))) if actual == *diff_id => {}
            Some(Ok((actual, _))) => problems.push(wrong(format!(
                "layer {} holds the archive {actual}, the configuration says {diff_id}",
                layer.digest
            ))),
            Some(Err(error)) => problems.push(wrong(format!(
                "layer {} can't be decompressed: {error}",
                layer.digest
            ))),
            None => {}
        }
    }
}

fn checked<T: serde::de::DeserializeOwned>(
    directory: &Path,
    descriptor: &Descriptor,
    problems: &mut Vec<Diagnostic>,
) -> Option<T> {
    bytes_are_right(directory, descriptor, problems)?;
    let document = blob_path(directory, &descriptor.digest).and_then(read_json);
    document
        .map_err(|error| problems.push(unreadable(&error)))
        .ok()
}

fn bytes_are_right(
    directory: &Path,
    descriptor: &Descriptor,
    problems: &mut Vec<Diagnostic>,
) -> Option<()> {
    let path = blob_path(directory, &descriptor.digest)
        .map_err(|error| problems.push(unreadable(&error)))
        .ok()?;
    let (digest, size) = sha256_of_file(&path)
        .map_err(|error| problems.push(unreadable(&LayoutError::Read(path, error))))
        .ok()?;
    if digest != descriptor.digest || size != descriptor.size {
        problems.push(wrong(format!(
            "blob {} of {} bytes was expected, {digest} of {size} bytes is there",
            descriptor.digest, descriptor.size
        )));
        return None;
    }
    Some(())
}

fn wrong(message: String) -> Diagnostic {
    Diagnostic::error("docker.layout.invalid", message)
}

fn unreadable(error: &LayoutError) -> Diagnostic {
    wrong("the image layout can't be read".into()).caused_by(error)
}
