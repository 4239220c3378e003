//! Finding Dockerfiles, for `synth init`.

use serde_json::Value;
use synth_core::{DetectedSetting, Detection, PlanContext, ProjectPath, SourceFiles};

/// The names a Dockerfile has, the best first.
const NAMES: [&str; 2] = ["Dockerfile", "Containerfile"];

/// A target for the Dockerfile of a directory. Of several, the one without a suffix is taken and
/// the others are named in a comment.
pub(crate) fn detect(directory: &ProjectPath, context: &dyn PlanContext) -> Option<Detection> {
    let patterns = NAMES
        .iter()
        .flat_map(|name| [(*name).to_owned(), format!("{name}.*")]);
    let files = SourceFiles::below(directory.clone()).include(patterns);
    let mut found: Vec<String> = context
        .files(&files)
        .ok()?
        .into_iter()
        .filter(|path| !path.contains('/') && !path.ends_with(".dockerignore"))
        .collect();
    found.sort_by_key(|name| {
        let best = NAMES.iter().position(|best| best == name);
        (best.unwrap_or(NAMES.len()), name.clone())
    });
    let mut found = found.into_iter();
    let dockerfile = found.next()?;
    let others: Vec<String> = found.collect();
    let mut settings = Vec::new();
    if dockerfile != "Dockerfile" || !others.is_empty() {
        settings.push(DetectedSetting {
            key: "dockerfile".into(),
            value: Value::String(dockerfile.clone()),
            comment: match others.as_slice() {
                [] => String::new(),
                others => format!("also here: {}", others.join(", ")),
            },
        });
    }
    let name = match directory.file_name() {
        None => "image".to_owned(),
        Some(name) => format!("{name}-image"),
    };
    Some(Detection {
        name,
        found: dockerfile,
        settings,
        // A Dockerfile stands beside whatever it packs, and takes no directory from it.
        confidence: 50,
        owns_subdirectories: false,
    })
}
