//! `synth plugin remove`.

use synth_core::Diagnostic;
use synth_engine::plugin::{FoundPlugin, LOCK_FILE_NAME, PinState, remove_library};

use super::{Outcome, Scene, not_found, print};
use crate::arguments::{Global, PluginRemoveArguments};
use crate::exit;

pub(crate) fn run(global: &Global, arguments: &PluginRemoveArguments) -> Outcome {
    let scene = Scene::new(global)?;
    let kind = &arguments.kind;
    let directory = scene.install_directory(arguments.project)?;
    let is_here = |found: &&FoundPlugin| found.path.parent() == Some(directory.as_path());
    let of_kind: Vec<&FoundPlugin> = scene
        .survey
        .found
        .iter()
        .filter(|found| found.kind == *kind)
        .collect();
    let here: Vec<&FoundPlugin> = of_kind.iter().copied().filter(is_here).collect();
    if here.is_empty() {
        let Some(elsewhere) = of_kind.first() else {
            return Err(vec![not_found(&scene.survey, kind)]);
        };
        let problem = Diagnostic::error(
            "plugin.elsewhere",
            format!(
                "the plugin for `{kind}` is not in `{}`",
                directory.display()
            ),
        )
        .cause(format!("it is at `{}`", elsewhere.path.display()));
        return Err(vec![if arguments.project {
            problem.help("leave out `--project`, or remove the file yourself")
        } else {
            problem.help(
                "remove it with `--project` if it is the project's, or remove the file yourself",
            )
        }]);
    }
    for found in here {
        remove_library(&found.path)?;
        if !global.quiet {
            print(&format!("removed {}", found.path.display()));
        }
    }
    // Another library may bring the kind still, and the pin is that one's.
    let pin = scene.survey.lock.pin(kind);
    let is_left = of_kind.iter().any(|found| {
        let file = found.usable().filter(|_| !is_here(found));
        file.zip(pin)
            .is_some_and(|(file, pin)| pin.compare(file) == PinState::Same)
    });
    if !is_left && !global.locked && scene.survey.unpin(kind)? && !global.quiet {
        print(&format!("removed `{kind}` from {LOCK_FILE_NAME}"));
    }
    Ok(exit::SUCCESS)
}
