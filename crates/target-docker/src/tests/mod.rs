//! What the docker target does, told by examples: each plans and builds a Dockerfile in
//! directories of its own.

mod copying;
mod images;
mod planning;
mod problems;

use std::collections::BTreeMap;

use synth_core::testkit::TestProject;
use synth_core::{ProjectPath, TargetSpec};

use crate::testing::{BuiltImage, build};

/// The target `image` of the project's root.
fn target() -> TargetSpec {
    TargetSpec::new("image", "docker", ProjectPath::root())
}

/// A project with these files.
fn project(files: &[(&str, &str)]) -> TestProject {
    let project = TestProject::new().unwrap();
    for (path, text) in files {
        project.write(path, text).unwrap();
    }
    project
}

/// Builds a project's image without needed targets.
fn built(project: &TestProject) -> BuiltImage {
    match build(project, &target(), &BTreeMap::new()) {
        Ok(image) => image,
        Err(problems) => panic!("{problems}"),
    }
}

/// The layers of an image as text.
fn layers(image: &BuiltImage) -> String {
    let layers = image.layers();
    let layers: Vec<String> = layers.iter().map(|layer| layer.join("\n")).collect();
    layers.join("\n--\n")
}
