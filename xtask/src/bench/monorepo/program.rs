//! The program that is the command of all targets, whichever tool builds them: small, and without a
//! shell, so that what is measured are the tools.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::shell::{Program, Shell};

/// Its arguments are the package's directory and the names of those that it needs. Their bundles are
/// where synth says that they are, or beside the package.
const MAIN: &str = r#"
fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bundle: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let package = arguments.next().ok_or_else(|| io::Error::other("no package is named"))?;
    let package = Path::new(&package);
    let mut needs = Vec::new();
    for name in arguments {
        let variable = format!("SYNTH_OUT_{}", name.to_uppercase());
        let needed = match std::env::var_os(variable) {
            Some(outputs) => Path::new(&outputs).join(BUNDLE),
            None => package.join("..").join(&name).join(BUNDLE),
        };
        needs.push(digest(&fs::read(needed)?));
    }
    let bundle = bundle(package, &needs)?;
    let place = package.join(BUNDLE);
    if let Some(directory) = place.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(place, bundle)
}
"#;

/// Compiles it into `directory`.
pub(crate) fn compile(shell: &Shell, directory: &Path) -> Result<PathBuf> {
    let source = directory.join("bundle.rs");
    let program = directory.join("bundle");
    fs::write(&source, format!("{}{MAIN}", include_str!("bundle.rs")))?;
    let compile = Program::new("rustc", ["--edition", "2024", "-O", "-o"])
        .argument(&program)
        .argument(&source);
    shell.demand(&compile)?;
    Ok(program)
}
