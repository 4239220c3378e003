//! What the environments of a wheel need, written down for the resolver.
//!
//! The project takes part as a wheel with metadata and no contents: resolvers then see its
//! requirements and extras as they are, and what they choose does not depend on its code.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::metadata::Metadata;
use crate::names;

/// Writes the contentless wheel into a directory; its file name is returned.
pub(super) fn write_stub(metadata: &Metadata, directory: &Path) -> io::Result<String> {
    let stem = format!(
        "{}-{}",
        names::in_file_name(&metadata.name),
        metadata.version
    );
    let file_name = format!("{stem}-py3-none-any.whl");
    let mut archive = ZipWriter::new(File::create(directory.join(&file_name))?);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default());
    let mut fields = format!(
        "Metadata-Version: 2.1\nName: {}\nVersion: {}\n",
        metadata.name, metadata.version
    );
    let mut add = |name: &str, value: &str| fields.push_str(&format!("{name}: {value}\n"));
    if let Some(specifiers) = &metadata.requires_python {
        add("Requires-Python", specifiers);
    }
    for extra in &metadata.extras {
        add("Provides-Extra", extra);
    }
    for requirement in &metadata.requires {
        add("Requires-Dist", requirement);
    }
    let wheel = "Wheel-Version: 1.0\nGenerator: synth\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    for (name, text) in [
        ("METADATA", fields.as_str()),
        ("WHEEL", wheel),
        ("RECORD", ""),
    ] {
        archive.start_file(format!("{stem}.dist-info/{name}"), options)?;
        archive.write_all(text.as_bytes())?;
    }
    archive.finish()?;
    Ok(file_name)
}
