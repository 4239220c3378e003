//! The example that newcomers run first: three targets in one graph, and only what changed again.

use std::fs;

use serde_json::Value;

use crate::image;
use crate::workspace::{Workspace, assert_run, text};

#[test]
fn only_what_changed_is_built_again() {
    let workspace = Workspace::with_example("storefront");
    let first = workspace.build([""; 0]).succeeded();
    assert_eq!(first.statuses(), "api built, site built, image built");

    let again = workspace.build([""; 0]).succeeded();
    assert_eq!(
        again.statuses(),
        "api up_to_date, site up_to_date, image up_to_date"
    );
    assert_eq!(again.executed(), [] as [String; 0]);

    let style_sheet = only_style_sheet(&workspace);
    workspace.append(&style_sheet, "\n.sold-out { opacity: 0.4; }\n");
    let third = workspace.build([""; 0]).succeeded();
    assert_eq!(third.statuses(), "api up_to_date, site built, image built");

    // Back again: what was built for that state is still in the cache.
    let text = workspace.read(&style_sheet);
    workspace.write(
        &style_sheet,
        text.replace("\n.sold-out { opacity: 0.4; }\n", ""),
    );
    let fourth = workspace.build([""; 0]).succeeded();
    assert_eq!(
        fourth.statuses(),
        "api up_to_date, site cached, image cached"
    );
    assert_eq!(fourth.executed(), [] as [String; 0]);
}

#[test]
fn the_artifacts_are_listed_and_work() {
    let workspace = Workspace::with_example("storefront");
    let run = workspace.synth(["build", "-j1"]).succeeded();
    assert_run!(run, @"");

    let report = workspace.build([""; 0]).succeeded();
    let wheel = fs::read(workspace.only_file("dist/api", ".whl")).unwrap();
    let image = workspace.path("dist/image");
    let files = image::files(&image);
    let (_, in_image) = files
        .iter()
        .find(|(path, _)| path.ends_with(".whl"))
        .expect("a wheel in the image");
    assert!(
        *in_image == wheel,
        "the wheel in the image is the wheel in the output directory"
    );

    let reference = format!("oci:{}", image.display());
    let inspected: Value =
        serde_json::from_str(&workspace.run("skopeo", ["inspect", &reference])).unwrap();
    let artifact = &report.target("image")["artifacts"][0];
    assert_eq!(inspected["Digest"], artifact["attributes"]["image_digest"]);
    assert_eq!(text(&inspected["Os"]), "linux");
}

fn only_style_sheet(workspace: &Workspace) -> String {
    let mut files = workspace.files("");
    files.retain(|path| path.ends_with(".css") && !path.starts_with("dist/"));
    files.truncate(1);
    files.pop().expect("a style sheet in the example")
}
