//! The pipeline that is built: many small `command` targets.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Result;

/// How many targets it has.
pub(crate) const TARGETS: u32 = 200;

/// Writes the project. `head` is the beginning of its synth.toml.
pub(crate) fn write(project: &Path, head: &str) -> Result<()> {
    let mut config = format!("name = \"benchmark\"\n{head}");
    for number in 1..=TARGETS {
        let name = format!("t{number:03}");
        let sources = project.join("sources").join(&name);
        fs::create_dir_all(&sources)?;
        fs::write(sources.join("in.txt"), format!("{name}\n"))?;
        write!(
            config,
            "\n[targets.{name}]\n\
             type = \"command\"\n\
             source_path = \"sources/{name}\"\n\
             output_path = \"dist/{name}\"\n\
             command = [\"cp\", \"in.txt\", \"out.txt\"]\n\
             inputs = [\"*.txt\"]\n\
             outputs = [\"out.txt\"]\n"
        )?;
    }
    fs::write(project.join("synth.toml"), config)?;
    Ok(())
}
