//! A docker target made in Rust instead of in synth.toml.

use synth_core::{PathError, ProjectPath, TargetSpec};

/// A docker target of that name for the Dockerfile in the directory `source_path`; its image is
/// called `NAME:latest`. More is said with [`TargetSpec`]'s own methods.
///
/// ```
/// use synth_target_docker::create_docker_build_target;
///
/// let image = create_docker_build_target("image", "deploy")?
///     .setting("dockerfile", "Dockerfile.prod")
///     .need("api");
/// assert_eq!(image.kind, "docker");
/// assert_eq!(image.source_path.as_str(), "deploy");
/// # Ok::<(), synth_core::PathError>(())
/// ```
///
/// # Errors
/// When `source_path` is absolute or leaves the project.
pub fn create_docker_build_target(
    name: impl Into<String>,
    source_path: &str,
) -> Result<TargetSpec, PathError> {
    Ok(TargetSpec::new(
        name,
        crate::target::KIND,
        ProjectPath::parse(source_path)?,
    ))
}
