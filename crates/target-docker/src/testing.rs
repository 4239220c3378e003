//! What the tests of this crate share: problems as text, trees of an image, and a target planned
//! and built in directories of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use synth_core::testkit::{TestProject, TestRun};
use synth_core::{
    Action, ActionKind, BuildTarget, Diagnostic, InputSource, NativeOutcome, Place, RunContext,
    TargetSpec,
};

use crate::DockerTarget;
use crate::oci::{self, ImageConfig, ImageInLayout, decompressed, read_layout};

/// Problems as a person might see them, without colours.
pub(crate) fn render(problems: &[Diagnostic]) -> String {
    let mut text = String::new();
    for problem in problems {
        let kind = if problem.is_error() {
            "error"
        } else {
            "warning"
        };
        writeln!(text, "{kind}[{}]: {}", problem.code, problem.message).unwrap();
        match &problem.place {
            Some(Place::File {
                path,
                position: Some(position),
                line_text,
            }) => {
                let line_text = line_text.as_deref().unwrap_or("");
                writeln!(text, "  {path}:{} | {line_text}", position.line).unwrap();
            }
            Some(Place::File { path, .. }) => writeln!(text, "  {path}").unwrap(),
            Some(Place::Setting { path }) => writeln!(text, "  {}", path.join(".")).unwrap(),
            _ => {}
        }
        for help in &problem.help {
            writeln!(text, "  help: {help}").unwrap();
        }
        for cause in &problem.causes {
            writeln!(text, "  cause: {cause}").unwrap();
        }
    }
    text
}

/// Puts an action's inputs where it finds them, as the engine does.
fn materialize(project: &TestProject, action: &Action, to: &Path, needs: &BTreeMap<&str, &Path>) {
    for input in &action.inputs {
        let at = to.join(&input.at);
        match &input.from {
            InputSource::Files { root, paths } => {
                let root = project.path().join(root.as_str());
                for path in paths {
                    copy(&root.join(path), &at.join(path), false);
                }
            }
            InputSource::Source(files) => {
                copy(&project.path().join(files.root.as_str()), &at, true);
            }
            InputSource::Target { name } => copy(needs[name.as_str()], &at, true),
            other => panic!("no docker action has such an input: {other:?}"),
        }
    }
}

fn copy(from: &Path, to: &Path, deep: bool) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let metadata = fs::symlink_metadata(from).unwrap();
    if metadata.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from).unwrap(), to).unwrap();
    } else if metadata.is_file() {
        fs::copy(from, to).unwrap();
    } else {
        fs::create_dir_all(to).unwrap();
        if deep {
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                copy(&entry.path(), &to.join(entry.file_name()), true);
            }
        }
    }
}

/// An image that a test built.
pub(crate) struct BuiltImage {
    run: TestRun,
    pub(crate) outcome: NativeOutcome,
}

/// Plans and builds a target, and has the result verified.
pub(crate) fn build(
    project: &TestProject,
    target: &TargetSpec,
    needs: &BTreeMap<&str, &Path>,
) -> Result<BuiltImage, String> {
    let plan = DockerTarget
        .plan(target, project)
        .map_err(|problems| render(&problems))?;
    let run = TestRun::new().unwrap();
    let action = &plan.actions[0];
    materialize(project, action, run.inputs(), needs);
    let ActionKind::Native(native) = &action.kind else {
        panic!("the action is native");
    };
    let outcome = DockerTarget
        .run(native, &run)
        .map_err(|problems| render(&problems))?;
    let image = BuiltImage { run, outcome };
    let problems = oci::verify(&image.layout());
    assert_eq!(problems, [], "the image is whole");
    Ok(image)
}

impl BuiltImage {
    pub(crate) fn layout(&self) -> PathBuf {
        self.run.outputs().join("layout")
    }

    fn image(&self) -> ImageInLayout {
        read_layout(&self.layout(), None, None).unwrap()
    }

    pub(crate) fn config(&self) -> ImageConfig {
        self.image().config
    }

    /// The entries of each layer: mode, owner and name, with a link's target or a file's text.
    pub(crate) fn layers(&self) -> Vec<Vec<String>> {
        let image = self.image();
        let blobs = image.manifest.layers.iter();
        blobs
            .map(|layer| {
                let mut archive =
                    tar::Archive::new(decompressed(&image.blob(layer).unwrap()).unwrap());
                let entries = archive.entries().unwrap();
                entries.map(|entry| describe(entry.unwrap())).collect()
            })
            .collect()
    }

    /// Every byte of the layout, by file.
    pub(crate) fn bytes(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        walkdir::WalkDir::new(self.layout())
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| {
                let name = entry.path().strip_prefix(self.layout()).unwrap().to_owned();
                (name, fs::read(entry.path()).unwrap())
            })
            .collect()
    }
}

fn describe(mut entry: tar::Entry<'_, impl Read>) -> String {
    let header = entry.header();
    let mut line = format!(
        "{:o} {}:{} @{} ",
        header.mode().unwrap(),
        header.uid().unwrap(),
        header.gid().unwrap(),
        header.mtime().unwrap()
    );
    line.push_str(entry.path().unwrap().to_str().unwrap());
    if let Some(link) = entry.link_name().unwrap() {
        write!(line, " -> {}", link.display()).unwrap();
    } else if entry.header().entry_type().is_file() {
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        match String::from_utf8(bytes) {
            Ok(text) => write!(line, " {text:?}").unwrap(),
            Err(error) => write!(line, " {} bytes", error.as_bytes().len()).unwrap(),
        }
    }
    line
}
