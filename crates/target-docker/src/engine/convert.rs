//! From what an engine saved to a reproducible OCI layout: compressed anew, and with no time in
//! it that tells when it was built.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::oci::{
    ImageConfig, ImageInLayout, LayoutWriter, NamedImage, decompressed, pax, read_docker_archive,
};
use crate::time::rfc3339;

/// What the image begins with, which stays as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct BaseImage {
    /// Its layers, lowest first.
    pub(crate) diff_ids: Vec<String>,
    /// How many entries of the history are its own.
    pub(crate) history: usize,
    /// Where its layers can be had as they were compressed.
    pub(crate) layout: Option<ImageInLayout>,
}

/// Converts the archive of `docker save` into the layout at `output`.
pub(crate) fn convert(
    archive: &Path,
    scratch: &Path,
    base: &BaseImage,
    tags: &[String],
    epoch: u64,
    output: &Path,
) -> io::Result<NamedImage> {
    let image = read_docker_archive(archive, scratch)?;
    let mut config: ImageConfig = serde_json::from_slice(&fs::read(scratch.join(&image.config))?)?;
    let diff_ids = std::mem::take(&mut config.rootfs.diff_ids);
    if diff_ids.len() != image.layers.len() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "{} layers were saved, the configuration names {}",
                image.layers.len(),
                diff_ids.len()
            ),
        ));
    }
    let mut writer = LayoutWriter::new(output)?;
    let from_base = if diff_ids.starts_with(&base.diff_ids) {
        base.diff_ids.len()
    } else {
        0
    };
    let mut done = 0;
    if let Some(layout) = base.layout.as_ref().filter(|_| from_base > 0) {
        writer.add_base(layout).map_err(io::Error::other)?;
        done = from_base;
    }
    for (index, file) in image.layers.iter().enumerate().skip(done) {
        let mut layer = writer.blobs().layer()?;
        let mut saved = decompressed(&scratch.join(file))?;
        if index < from_base {
            io::copy(&mut saved, &mut layer)?;
        } else {
            clamp_times(saved, &mut layer, epoch)?;
        }
        writer.add(layer.finish()?);
    }
    let time = Some(rfc3339(epoch));
    for entry in config.history.iter_mut().skip(base.history) {
        entry.created.clone_from(&time);
    }
    config.created = time;
    writer.finish(config, tags)
}

/// Copies an archive, no file in it newer than `epoch`. Everything else stays, entry by entry.
fn clamp_times(archive: impl Read, output: impl Write, epoch: u64) -> io::Result<()> {
    let mut archive = tar::Archive::new(archive);
    let mut clamped = tar::Builder::new(output);
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let mut header = entry.header().clone();
        if header.entry_type().is_pax_local_extensions() {
            let mut records = Vec::new();
            entry.read_to_end(&mut records)?;
            let records = without_times(&records)?;
            if records.is_empty() {
                continue;
            }
            header.set_size(u64::try_from(records.len()).map_err(io::Error::other)?);
            header.set_mtime(header.mtime()?.min(epoch));
            header.set_cksum();
            clamped.append(&header, records.as_slice())?;
            continue;
        }
        header.set_mtime(header.mtime()?.min(epoch));
        header.set_cksum();
        clamped.append(&header, &mut entry)?;
    }
    clamped.into_inner()?.flush()
}

/// PAX records without those that hold times; the header's own, in whole seconds, remains.
fn without_times(records: &[u8]) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    for (key, value) in pax::read(records)? {
        if ![&b"mtime"[..], b"atime", b"ctime"].contains(&key.as_slice()) {
            pax::write(&mut kept, &key, &value);
        }
    }
    Ok(kept)
}

/// A file with nothing in it.
pub(crate) fn empty_file(path: &Path) -> io::Result<()> {
    File::create(path).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_clamped_and_attributes_kept() {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, mtime) in [("old", 5_u64), ("new", 5_000_000_000)] {
            let records = [
                ("mtime", &b"5000000000.25"[..]),
                ("SCHILY.xattr.user.a", b"b=\nc"),
            ];
            archive.append_pax_extensions(records).unwrap();
            let mut header = tar::Header::new_ustar();
            header.set_size(1);
            header.set_mode(0o640);
            header.set_mtime(mtime);
            archive.append_data(&mut header, name, &b"x"[..]).unwrap();
        }
        let archive = archive.into_inner().unwrap();
        let mut output = Vec::new();
        clamp_times(archive.as_slice(), &mut output, 100).unwrap();
        let mut clamped = tar::Archive::new(output.as_slice());
        let mut found = Vec::new();
        for entry in clamped.entries().unwrap().raw(true) {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            if entry.header().entry_type().is_pax_local_extensions() {
                let records = pax::read(&bytes).unwrap();
                assert_eq!(
                    records,
                    [(b"SCHILY.xattr.user.a".to_vec(), b"b=\nc".to_vec())]
                );
            } else {
                found.push((
                    entry.header().mode().unwrap(),
                    entry.header().mtime().unwrap(),
                ));
            }
        }
        assert_eq!(found, [(0o640, 5), (0o640, 100)]);
    }
}
