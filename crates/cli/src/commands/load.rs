//! `synth build --load`: the images that were built, into the local container engine.

use std::io::BufWriter;

use synth_core::{Artifact, Diagnostic};
use synth_engine::{BuildReport, CancellationToken, Pipeline, handover};

/// The kind of the artifacts that can be loaded.
const IMAGE: &str = "oci.image";

/// Loads every image of a report.
pub(crate) async fn images(
    report: &BuildReport,
    pipeline: &Pipeline,
    cancel: &CancellationToken,
) -> Result<(), Diagnostic> {
    for target in &report.targets {
        for image in target
            .artifacts
            .iter()
            .filter(|artifact| artifact.kind == IMAGE)
        {
            let tags = tags(&target.name, image);
            load(pipeline, image, &tags, cancel).await?;
            for tag in tags {
                crate::render::tell(&format!("{:>10} {}: {tag}", "loaded", target.name));
            }
        }
    }
    Ok(())
}

/// The names an image is loaded under: its own, or the target's.
fn tags(target: &str, image: &Artifact) -> Vec<String> {
    let own: Vec<String> = image
        .attributes
        .get("tags")
        .into_iter()
        .flat_map(|tags| tags.split([',', ' ']))
        .filter(|tag| !tag.is_empty())
        .map(ToOwned::to_owned)
        .collect();
    if own.is_empty() {
        vec![format!("{}:latest", target.to_lowercase())]
    } else {
        own
    }
}

async fn load(
    pipeline: &Pipeline,
    image: &Artifact,
    tags: &[String],
    cancel: &CancellationToken,
) -> Result<(), Diagnostic> {
    let failed = |error: &dyn std::error::Error| {
        Diagnostic::error("load.archive", format!("`{}` can't be loaded", image.path))
            .caused_by(error)
    };
    let archive = tempfile::NamedTempFile::new().map_err(|error| failed(&error))?;
    let layout = pipeline.root.join(image.path.as_str());
    synth_target_docker::docker_archive(&layout, BufWriter::new(archive.as_file()), tags)
        .map_err(|error| failed(&error))?;
    handover(&["docker", "load"], archive.path(), cancel)
        .await
        .map(drop)
        .map_err(|problem| problem.help("is the container engine running? `docker info` tells"))
}
