//! The example that newcomers run first: three targets in one graph, and only what changed again.

use std::fs;

use serde_json::Value;

use crate::image;
use crate::workspace::{Workspace, assert_run, repository, text};

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
    let run = workspace.synth(first_command()).succeeded();
    assert_run!(run, @"
    exit code: 0
    ----- stdout -----
     target  status  time  actions                artifacts
     api     built   [TIME]  13 executed, 2 cached  dist/api/storefront_api-1.0.0-py3-none-any.whl  [SIZE]  [DIGEST]
                        dist/api/storefront_api-1.0.0.tar.gz  [SIZE]  [DIGEST]
     site    built   [TIME]  4 executed             dist/site  [SIZE]  [DIGEST]
     image   built   [TIME]  2 executed             dist/image  [SIZE]  [DIGEST]

    3 of 3 targets succeeded in [TIME]
    ----- stderr -----
         start api: choose versions for the backend environment
          done api: choose versions for the backend environment ([TIME])
         start api: make the backend environment
          done api: make the backend environment ([TIME])
         start api: ask the build backend what it requires
          done api: ask the build backend what it requires ([TIME])
         start api: build the source distribution
          done api: build the source distribution ([TIME])
         start api: make the source distribution reproducible and check it
          done api: make the source distribution reproducible and check it ([TIME])
         start api: build the wheel
          done api: build the wheel ([TIME])
         start api: check the wheel
          done api: check the wheel ([TIME])
         start api: choose versions for the runtime environment
          done api: choose versions for the runtime environment ([TIME])
         start api: make the runtime environment
          done api: make the runtime environment ([TIME])
         start api: install the wheel into a clean environment and import its modules
          done api: install the wheel into a clean environment and import its modules ([TIME])
         start api: choose versions for the test environment
          done api: choose versions for the test environment ([TIME])
         start api: make the test environment
          done api: make the test environment ([TIME])
         start api: test the installed wheel
          done api: test the installed wheel ([TIME])
         start site: put the site together
          done site: put the site together ([TIME])
         start site: minify pages, style sheets and scripts
          done site: minify pages, style sheets and scripts ([TIME])
         start site: check links, anchors and assets
          done site: check links, anchors and assets ([TIME])
         start site: write the manifest
          done site: write the manifest ([TIME])
         start image: build the image of deploy/Dockerfile
          done image: build the image of deploy/Dockerfile ([TIME])
         start image: check every digest of the image
          done image: check every digest of the image ([TIME])
    ");

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

/// The arguments of the README's first command, for a project that is the example itself, and one
/// action at a time.
fn first_command() -> Vec<String> {
    let readme = repository().join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let command = readme.lines().find(|line| line.starts_with("cargo run "));
    let (_, arguments) = command.and_then(|line| line.split_once(" -- ")).unwrap();
    let arguments = arguments.replace("examples/storefront", ".");
    arguments
        .split(' ')
        .chain(["-j1"])
        .map(str::to_owned)
        .collect()
}

fn only_style_sheet(workspace: &Workspace) -> String {
    let mut files = workspace.files("");
    files.retain(|path| path.ends_with(".css") && !path.starts_with("dist/"));
    files.truncate(1);
    files.pop().expect("a style sheet in the example")
}
