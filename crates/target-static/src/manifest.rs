//! `manifest.json`: every file of a site with its digests, for deployments that upload what has
//! changed and for pages elsewhere that name its files.
//!
//! ```json
//! {
//!   "version": 1,
//!   "files": [
//!     {
//!       "path": "css/shop.css",
//!       "size": 1024,
//!       "sha256": "9f86d0…",
//!       "integrity": "sha384-oqVuAf…"
//!     }
//!   ]
//! }
//! ```
//!
//! Files are sorted by path; the manifest itself is not among them. `sha256` is in hexadecimal
//! digits, `integrity` is what an `integrity` attribute takes (W3C Subresource Integrity, section
//! 3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha384};
use synth_core::{Diagnostic, NativeOutcome, RunContext};

use crate::plan::{SITE, TREE};
use crate::tree::{self, FileType, Tree};

/// The name of the native function.
pub(crate) const FUNCTION: &str = "manifest";

/// Raised when a field changes its meaning.
const VERSION: u32 = 1;

/// What it is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Parameters {
    /// Where it goes; none for the first of [`NAMES`] that is free.
    pub(crate) path: Option<String>,
}

/// The first is also the usual name of a web application's manifest.
const NAMES: [&str; 2] = ["manifest.json", "site-manifest.json"];

#[derive(Serialize)]
struct Manifest {
    version: u32,
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    path: String,
    size: usize,
    sha256: String,
    integrity: String,
}

/// Copies the tree and writes the manifest into it.
///
/// # Errors
/// When its place is taken.
pub(crate) fn run(
    parameters: &Parameters,
    context: &dyn RunContext,
) -> Result<NativeOutcome, Vec<Diagnostic>> {
    let tree = Tree::read(context.inputs().join(TREE))?;
    let path = place(parameters, &tree)?;
    let output = context.outputs().join(TREE);
    let mut files = Vec::new();
    let mut pages = 0_usize;
    for file in tree.files() {
        let bytes = tree.bytes(file)?;
        tree::copy(&tree.path(file), &output.join(file))?;
        if matches!(tree::file_type(file), FileType::Html | FileType::Xhtml) {
            pages += 1;
        }
        files.push(File {
            path: file.to_owned(),
            size: bytes.len(),
            sha256: hex::encode(Sha256::digest(&bytes)),
            integrity: integrity(&bytes),
        });
    }
    let count = files.len();
    let manifest = Manifest {
        version: VERSION,
        files,
    };
    let mut text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| vec![tree::unreadable("the manifest", &error)])?;
    text.push('\n');
    tree::write(&output.join(path), text.as_bytes())?;
    Ok(NativeOutcome::quiet()
        .attribute(SITE, "files", count.to_string())
        .attribute(SITE, "pages", pages.to_string())
        .attribute(SITE, "manifest", path))
}

/// The value of an `integrity` attribute for these bytes.
pub(crate) fn integrity(bytes: &[u8]) -> String {
    format!("sha384-{}", STANDARD.encode(Sha384::digest(bytes)))
}

fn place<'a>(parameters: &'a Parameters, tree: &Tree) -> Result<&'a str, Vec<Diagnostic>> {
    let is_free = |path: &str| !tree.has(path) && !tree.has_directory(path);
    let taken = |path: &str| {
        let message = format!("the manifest can't be written: the site has a `{path}` of its own");
        let help = "set `manifest` to another path, or to false for none";
        let diagnostic = Diagnostic::error("static.manifest.taken", message);
        vec![diagnostic.at_setting(["manifest"]).help(help)]
    };
    match &parameters.path {
        Some(path) if is_free(path) => Ok(path),
        Some(path) => Err(taken(path)),
        None => NAMES
            .into_iter()
            .find(|name| is_free(name))
            .ok_or_else(|| taken(NAMES[1])),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use synth_core::testkit::TestRun;

    use super::*;

    fn manifest(run: &TestRun, parameters: &Parameters) -> Result<String, Vec<Diagnostic>> {
        let outcome = super::run(parameters, run)?;
        let path = &outcome.attributes[SITE]["manifest"];
        Ok(fs::read_to_string(run.outputs().join("site").join(path)).unwrap())
    }

    #[test]
    fn every_file_is_listed_with_its_digests() {
        let run = TestRun::new().unwrap();
        run.write("site/index.html", "<p>").unwrap();
        run.write("site/css/empty.css", "").unwrap();
        insta::assert_snapshot!(manifest(&run, &Parameters { path: None }).unwrap(), @r#"
        {
          "version": 1,
          "files": [
            {
              "path": "css/empty.css",
              "size": 0,
              "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
              "integrity": "sha384-OLBgp1GsljhM2TJ+sbHjaiH9txEUvgdDTAzHv2P24donTt6/529l+9Ua0vFImLlb"
            },
            {
              "path": "index.html",
              "size": 3,
              "sha256": "33f2799467177287a29260780a107ac98ea63dd6165f67fcc0d74767d0a82090",
              "integrity": "sha384-593IujyZps9gUFce2hQ6GTLgmVRNyfklCMdFcirEwPxE8mxq8W5ZCrqZUQVzbcbC"
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_web_application_keeps_its_own_manifest() {
        let run = TestRun::new().unwrap();
        run.write("site/manifest.json", "{}").unwrap();
        manifest(&run, &Parameters { path: None }).unwrap();
        let output = run.outputs().join("site");
        assert_eq!(
            fs::read_to_string(output.join("manifest.json")).unwrap(),
            "{}"
        );
        assert!(output.join("site-manifest.json").is_file());
        let path = Some("manifest.json".into());
        let problems = manifest(&run, &Parameters { path }).unwrap_err();
        assert_eq!(problems[0].code, "static.manifest.taken");
    }
}
