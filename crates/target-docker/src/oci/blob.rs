//! Writing blobs under the digest of their bytes, and layers under two digests at once: that of
//! the archive (the `diff_id`) and that of its compressed form.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder, write::GzEncoder};
use sha2::{Digest as _, Sha256};

/// Counts and hashes what passes through.
pub(crate) struct HashingWriter<W> {
    inner: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> HashingWriter<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            size: 0,
        }
    }

    fn finish(self) -> (W, String, u64) {
        (self.inner, digest_text(self.hasher), self.size)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        if let Some(bytes) = bytes.get(..written) {
            self.hasher.update(bytes);
        }
        self.size = self
            .size
            .saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn digest_text(hasher: Sha256) -> String {
    format!("sha256:{}", hex::encode(hasher.finalize()))
}

/// `sha256:..` of some bytes.
pub(crate) fn sha256_of(bytes: &[u8]) -> String {
    digest_text(Sha256::new_with_prefix(bytes))
}

/// `sha256:..` and the size of what a reader gives.
pub(crate) fn sha256_of_reader(mut reader: impl Read) -> io::Result<(String, u64)> {
    let mut hashing = HashingWriter::new(io::sink());
    io::copy(&mut reader, &mut hashing)?;
    let (_, digest, size) = hashing.finish();
    Ok((digest, size))
}

/// `sha256:..` and the size of a file.
pub(crate) fn sha256_of_file(path: &Path) -> io::Result<(String, u64)> {
    sha256_of_reader(File::open(path)?)
}

/// A directory of blobs: `blobs/sha256`.
#[derive(Clone, Debug)]
pub(crate) struct BlobWriter {
    directory: PathBuf,
}

impl BlobWriter {
    pub(crate) fn new(directory: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        Ok(Self { directory })
    }

    /// Writes a small blob and returns its digest.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> io::Result<String> {
        let digest = sha256_of(bytes);
        fs::write(self.path(&digest), bytes)?;
        Ok(digest)
    }

    /// Takes a blob over from another layout.
    pub(crate) fn copy_from(&self, source: &Path, digest: &str) -> io::Result<()> {
        let path = self.path(digest);
        if !path.exists() {
            // Content of its own, not the mode of the source.
            io::copy(&mut File::open(source)?, &mut File::create(path)?)?;
        }
        Ok(())
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.directory
            .join(digest.strip_prefix("sha256:").unwrap_or(digest))
    }

    /// Begins a layer.
    pub(crate) fn layer(&self) -> io::Result<LayerWriter> {
        // Renamed to its digest when that is known.
        let path = self.directory.join("unfinished");
        let file = HashingWriter::new(BufWriter::new(File::create(&path)?));
        // No name, no time, no operating system: the same input gives the same bytes.
        let gzip = GzBuilder::new()
            .mtime(0)
            .operating_system(255)
            .write(file, Compression::default());
        Ok(LayerWriter {
            blobs: self.clone(),
            path,
            archive: HashingWriter::new(gzip),
        })
    }
}

/// Compresses a layer's archive on its way to the blobs.
pub(crate) struct LayerWriter {
    blobs: BlobWriter,
    path: PathBuf,
    archive: HashingWriter<GzEncoder<HashingWriter<BufWriter<File>>>>,
}

/// A layer that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FinishedLayer {
    /// The digest of the compressed blob.
    pub(crate) digest: String,
    /// The size of the compressed blob.
    pub(crate) size: u64,
    /// The digest of the archive itself.
    pub(crate) diff_id: String,
}

impl LayerWriter {
    /// Ends the layer and gives the blob its name.
    pub(crate) fn finish(self) -> io::Result<FinishedLayer> {
        let (gzip, diff_id, _) = self.archive.finish();
        let (file, digest, size) = gzip.finish()?.finish();
        file.into_inner().map_err(io::IntoInnerError::into_error)?;
        fs::rename(&self.path, self.blobs.path(&digest))?;
        Ok(FinishedLayer {
            digest,
            size,
            diff_id,
        })
    }
}

impl Write for LayerWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.archive.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.archive.flush()
    }
}

/// What is inside a compressed file; the format is told from its first bytes. A file in none of
/// the formats is read as it is.
pub(crate) fn decompressed(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut start = [0_u8; 6];
    let mut read = 0;
    let mut probe = File::open(path)?;
    while let Some(rest) = start.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match probe.read(rest)? {
            0 => break,
            count => read += count,
        }
    }
    let file = BufReader::new(File::open(path)?);
    Ok(match start {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(lzma_rust2::XzReader::new(file, true)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(
            ruzstd::decoding::StreamingDecoder::new(file)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?,
        ),
        _ => Box::new(file),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_the_same_bytes_each_time_and_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = BlobWriter::new(directory.path().to_owned()).unwrap();
        let write = || {
            let mut layer = blobs.layer().unwrap();
            layer.write_all(b"not an archive").unwrap();
            layer.finish().unwrap()
        };
        let layer = write();
        assert_eq!(layer, write());
        assert_eq!(layer.diff_id, sha256_of(b"not an archive"));
        let blob = blobs.path(&layer.digest);
        assert_eq!(sha256_of_file(&blob).unwrap(), (layer.digest, layer.size));
        let mut text = String::new();
        decompressed(&blob)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "not an archive");
    }
}
