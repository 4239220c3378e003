//! `synth plugin update`: installed plugins anew from where they came, and their pins.

use synth_core::Diagnostic;
use synth_engine::Registry;
use synth_engine::plugin::{FoundPlugin, PROJECT_PLUGIN_DIRECTORY, Selection};

use super::{Outcome, Scene, install, not_found, print};
use crate::arguments::{Global, PluginUpdateArguments};
use crate::exit;

pub(crate) fn run(
    global: &Global,
    arguments: &PluginUpdateArguments,
    linked: &Registry,
) -> Outcome {
    let scene = Scene::new(global)?;
    let asked = |found: &&FoundPlugin| {
        let kind = arguments.kind.as_ref();
        kind.is_none_or(|kind| *kind == found.kind)
    };
    let found: Vec<&FoundPlugin> = scene.survey.found.iter().filter(asked).collect();
    if let (Some(kind), true) = (&arguments.kind, found.is_empty()) {
        // Of a pin that can't be met here, nothing is installed yet.
        let anew = scene.survey.anew(kind);
        let anew = anew.ok_or_else(|| vec![not_found(&scene.survey, kind)])?;
        let wanted = [(anew, scene.install_directory(false)?)];
        return install::install_into(global, &scene, linked, &wanted, arguments.offline);
    }
    let mut wanted = Vec::new();
    for found in found {
        let directory = found.path.parent().filter(|_| is_installed(&scene, found));
        match (scene.survey.newer(found), directory) {
            (Some(newer), Some(directory)) => wanted.push((newer, directory.to_owned())),
            // Somebody else put it there: all there is to do is to believe that it is meant.
            _ if arguments.kind.is_some() => repin(global, &scene, linked, found)?,
            _ if !global.quiet => print(&format!(
                "{:>10} {}: not installed by `synth plugin install`: {}",
                "left",
                found.kind,
                found.path.display()
            )),
            _ => {}
        }
    }
    if wanted.is_empty() {
        if arguments.kind.is_none() && !global.quiet && scene.survey.found.is_empty() {
            print("no plugins are found");
        }
        return Ok(exit::SUCCESS);
    }
    install::install_into(global, &scene, linked, &wanted, arguments.offline)
}

/// Whether a library is in a directory that `synth plugin install` uses.
fn is_installed(scene: &Scene, found: &FoundPlugin) -> bool {
    let user = scene.options.directories.user.clone();
    let project = scene
        .survey
        .root()
        .map(|root| root.join(PROJECT_PLUGIN_DIRECTORY));
    let directories = [user, project];
    let parent = found.path.parent();
    directories
        .into_iter()
        .flatten()
        .any(|directory| parent == Some(directory.as_path()))
}

/// Pins the library that brings a kind as it is now.
fn repin(
    global: &Global,
    scene: &Scene,
    linked: &Registry,
    found: &FoundPlugin,
) -> Result<(), Vec<Diagnostic>> {
    match scene.survey.selection_without_pin(&found.kind, linked) {
        Some(Selection::Unusable(problem)) => Err(vec![problem]),
        Some(Selection::Plugin(chosen)) => {
            let is_chosen = found
                .file
                .as_ref()
                .is_some_and(|file| file.sha256 == chosen.sha256);
            if is_chosen {
                install::pin(global, &scene.survey, &found.kind, &chosen)?
                    .map_or(Ok(()), |problem| Err(vec![problem]))?;
                if !global.quiet {
                    print(&format!(
                        "{:>10} {}: {} is the one in use",
                        "kept",
                        found.kind,
                        chosen.name()
                    ));
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
