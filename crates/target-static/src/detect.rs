//! Sites that `synth init` finds.

use serde_json::Value;
use synth_core::{DetectedSetting, Detection, PlanContext, ProjectPath};

use crate::toolchain::{self, Generator, Package};

/// A directory with a site generator's own configuration is surely a site.
const GENERATOR: u8 = 90;
/// One with pages most probably: pages may also be templates of a program.
const PAGES: u8 = 40;

/// Directories whose pages belong to a program around them.
const NOT_SITES: [&str; 5] = ["templates", "tests", "test", "fixtures", "node_modules"];

/// Whether a directory holds a site.
pub(crate) fn detect(directory: &ProjectPath, context: &dyn PlanContext) -> Option<Detection> {
    let package = Package::read(directory, context).ok().flatten();
    let name = || {
        let own = package.as_ref().and_then(|package| package.name());
        let name = own.or(directory.file_name()).unwrap_or("site");
        name.replace(|character: char| !is_name_character(character), "-")
    };
    if let Some(generator) = toolchain::generator(directory, package.as_ref(), context) {
        return Some(Detection {
            name: name(),
            found: format!("{} ({})", generator.found_in, generator.name),
            settings: generator_settings(&generator),
            confidence: GENERATOR,
            owns_subdirectories: true,
        });
    }
    let is_template = directory
        .components()
        .any(|component| NOT_SITES.contains(&component));
    if !toolchain::exists(directory, "index.html", context) || is_template {
        return None;
    }
    Some(Detection {
        name: name(),
        found: "index.html".to_owned(),
        settings: Vec::new(),
        confidence: PAGES,
        owns_subdirectories: true,
    })
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

fn generator_settings(generator: &Generator) -> Vec<DetectedSetting> {
    let setting = |key: &str, value: &str, comment: &str| DetectedSetting {
        key: key.to_owned(),
        value: Value::String(value.to_owned()),
        comment: comment.to_owned(),
    };
    let mut settings = Vec::new();
    if let Some(install) = &generator.install_command {
        let comment = "runs with network, and again only when lock files change";
        settings.push(setting("install_command", install, comment));
    }
    let comment = "runs without network";
    settings.push(setting("build_command", &generator.build_command, comment));
    let comment = if generator.name == "next" {
        "Next.js writes it when next.config says output: \"export\""
    } else {
        "where the build command leaves the site"
    };
    settings.push(setting("build_output", &generator.build_output, comment));
    settings
}
