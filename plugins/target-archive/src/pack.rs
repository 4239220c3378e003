//! The native function: writes the archives.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder};
use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, NativeOutcome, ProjectPath, RunContext};

use crate::entries::{self, Entry, EntryKind};
use crate::format::Format;
use crate::meter::{Cancelled, Meter};
use crate::{tar_file, zip_file};

/// The name of the native function.
pub(crate) const FUNCTION: &str = "pack";

/// The output, and its place: a directory that holds the archives.
pub(crate) const OUTPUT: &str = "archives";

/// The operating system that a gzip header names (RFC 1952, 2.3.1): unknown.
const UNKNOWN_SYSTEM: u8 = 255;

/// What it is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Parameters {
    /// The file's name without extension.
    pub(crate) name: String,
    pub(crate) formats: Vec<Format>,
    pub(crate) level: Option<u8>,
    /// The directory inside the archive that holds everything.
    pub(crate) root: ProjectPath,
    /// The directory below the inputs whose contents are archived.
    pub(crate) tree: String,
    /// The time of every entry, in seconds since 1970 UTC.
    pub(crate) time: u64,
}

/// Writes one archive for each format.
///
/// # Errors
/// When there is nothing to archive, or a file can't be read or written.
pub(crate) fn run(
    parameters: &Parameters,
    context: &dyn RunContext,
) -> Result<NativeOutcome, Diagnostic> {
    let entries = entries::list(&context.inputs().join(&parameters.tree), &parameters.root)?;
    if entries
        .iter()
        .all(|entry| entry.kind == EntryKind::Directory)
    {
        return Err(Diagnostic::error(
            "archive.empty",
            "there is nothing to archive: neither the needed targets nor the sources hold a file",
        )
        .help("check `needs` and `include`"));
    }
    let directory = context.outputs().join(OUTPUT);
    fs::create_dir_all(&directory).map_err(|error| unwritten(&parameters.name, &error))?;
    let size: u64 = entries.iter().map(Entry::size).sum();
    let mut outcome = NativeOutcome {
        diagnostics: warnings(&entries),
        ..NativeOutcome::default()
    };
    for format in &parameters.formats {
        let name = format!("{}.{format}", parameters.name);
        let meter = Meter::new(context, &name, size);
        let path = directory.join(&name);
        write(*format, parameters, &entries, &path, &meter).map_err(|error| {
            if error.get_ref().is_some_and(|inner| inner.is::<Cancelled>()) {
                return Diagnostic::error(
                    "archive.cancelled",
                    format!("`{name}` was not finished"),
                );
            }
            unwritten(&name, &error)
        })?;
        let packed = fs::metadata(&path).map_err(|error| unwritten(&name, &error))?;
        let count = entries.len();
        context.log(&format!(
            "{name}: {count} entries, {size} bytes in {}",
            packed.len()
        ));
        outcome = outcome
            .attribute(format.artifact_kind(), "entries", count.to_string())
            .attribute(
                format.artifact_kind(),
                "uncompressed_size",
                size.to_string(),
            );
    }
    Ok(outcome)
}

fn write(
    format: Format,
    parameters: &Parameters,
    entries: &[Entry],
    path: &Path,
    meter: &Meter<'_>,
) -> io::Result<()> {
    let level = parameters.level.unwrap_or(format.default_level());
    let time = parameters.time;
    let file = BufWriter::new(File::create(path)?);
    let mut file = match format {
        Format::TarGz => {
            let gzip = GzBuilder::new()
                .mtime(0)
                .operating_system(UNKNOWN_SYSTEM)
                .write(file, Compression::new(level.into()));
            tar_file::write(entries, time, gzip, meter)?.finish()?
        }
        Format::TarZst => {
            let mut zstandard = zstd::Encoder::new(file, level.into())?;
            zstandard.include_checksum(true)?;
            tar_file::write(entries, time, zstandard, meter)?.finish()?
        }
        Format::Zip => zip_file::write(entries, time, level, file, meter)?,
    };
    file.flush()
}

/// What whoever unpacks the archive may stumble over.
fn warnings(entries: &[Entry]) -> Vec<Diagnostic> {
    let leading_out = entries.iter().filter(|entry| entry.leads_out());
    leading_out
        .map(|entry| {
            Diagnostic::warning(
                "archive.link.outside",
                format!(
                    "the symbolic link `{}` leads out of the archive",
                    entry.path
                ),
            )
            .help("programs that unpack archives may refuse it; make it relative, or exclude it")
        })
        .collect()
}

fn unwritten(name: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::error("archive.write", format!("`{name}` can't be written")).caused_by(error)
}
