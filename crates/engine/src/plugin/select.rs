//! Which library brings a kind: what was found, what synth.toml asks for and what synth.lock pins,
//! made into a registry. Nothing is opened here.

use std::collections::{BTreeMap, BTreeSet};

use synth_core::{Concern, Diagnostic};

use super::discovery::{FoundPlugin, Origin};
use super::lock::PinState;
use super::{PluginFile, Survey};
use crate::Registry;
use crate::config::{Choice, PluginRequest};

/// What was decided of a kind.
#[derive(Clone, Debug)]
pub enum Selection {
    /// The kind that is linked in.
    Linked,
    /// This library.
    Plugin(PluginFile),
    /// Nothing can be used; the reason.
    Unusable(Diagnostic),
}

/// Decides for every kind that a library was found for, or that synth.toml or synth.lock names.
pub(crate) fn select(survey: &Survey, linked: &Registry) -> BTreeMap<String, Selection> {
    let found = survey.found.iter().map(|found| &found.kind);
    let pinned = survey.lock.pins().map(|(kind, _)| kind);
    let kinds: BTreeSet<&str> = found
        .chain(survey.config.choices.keys())
        .map(String::as_str)
        .chain(pinned)
        .collect();
    kinds
        .into_iter()
        .map(|kind| (kind.to_owned(), select_kind(survey, linked, kind)))
        .collect()
}

fn select_kind(survey: &Survey, linked: &Registry, kind: &str) -> Selection {
    let is_linked = linked.contains(kind);
    let candidates: Vec<&FoundPlugin> = survey
        .found
        .iter()
        .filter(|found| found.kind == kind)
        .collect();
    let usable = distinct(&candidates);
    let chosen = match survey.config.choices.get(kind) {
        Some(Choice::Builtin) if is_linked => return Selection::Linked,
        Some(Choice::Builtin) => {
            return Selection::Unusable(survey.config.locate(
                kind,
                None,
                not_built_in(kind, linked),
            ));
        }
        Some(Choice::Plugin(request)) => {
            let chosen: Vec<&FoundPlugin> = match &request.path {
                Some(path) => candidates
                    .iter()
                    .copied()
                    .find(|found| found.origin == Origin::ConfiguredPath && found.path == *path)
                    .into_iter()
                    .collect(),
                None => usable.clone(),
            };
            let chosen: Vec<&FoundPlugin> = chosen
                .into_iter()
                .filter(|found| fits(found, request))
                .collect();
            if chosen.is_empty() {
                let problem = nothing_fits(kind, request, &candidates, &usable);
                let key = match &request.path {
                    Some(_) => Some("path"),
                    None if usable.is_empty() => None,
                    None => Some("version"),
                };
                return Selection::Unusable(survey.config.locate(kind, key, problem));
            }
            chosen
        }
        None if is_linked && usable.is_empty() => return Selection::Linked,
        None if is_linked => {
            return Selection::Unusable(conflict_with_linked(kind, linked, &usable));
        }
        None => usable,
    };
    let pin = survey.lock.pin(kind);
    let one = match chosen.as_slice() {
        // Nothing else was found for the kind than what can't be used.
        [] => {
            let problem = candidates.iter().find_map(|found| found.problem.clone());
            return Selection::Unusable(problem.unwrap_or_else(|| not_installed(kind, None)));
        }
        [one] => one,
        several => {
            let pinned = several.iter().find(|found| {
                let file = found.usable();
                pin.zip(file)
                    .is_some_and(|(pin, file)| pin.compare(file) == PinState::Same)
            });
            match pinned {
                Some(one) => one,
                None => return Selection::Unusable(conflict(survey, kind, several)),
            }
        }
    };
    let Some(file) = one.usable() else {
        return Selection::Unusable(not_installed(kind, None));
    };
    match pin.map(|pin| (pin, pin.compare(file))) {
        Some((pin, PinState::Differs)) => Selection::Unusable(pin.mismatch(kind, file)),
        Some((_, PinState::Same)) => Selection::Plugin(file.clone()),
        _ if survey.locked => Selection::Unusable(not_pinned(kind, file)),
        _ => Selection::Plugin(file.clone()),
    }
}

/// Libraries that can be used, each digest once.
fn distinct<'a>(candidates: &[&'a FoundPlugin]) -> Vec<&'a FoundPlugin> {
    let mut digests = BTreeSet::new();
    candidates
        .iter()
        .copied()
        .filter(|found| {
            found
                .usable()
                .is_some_and(|file| digests.insert(file.sha256.clone()))
        })
        .collect()
}

fn fits(found: &FoundPlugin, request: &PluginRequest) -> bool {
    let Some(file) = found.usable() else {
        return false;
    };
    let manifest = &file.manifest;
    request
        .crate_name
        .as_ref()
        .is_none_or(|name| *name == manifest.crate_name)
        && request.version.matches(&manifest.version)
}

fn not_built_in(kind: &str, linked: &Registry) -> Diagnostic {
    let problem = Diagnostic::error(
        "plugin.builtin",
        format!("`{kind}` is to be the kind that synth brings, but this synth brings no such kind"),
    );
    if linked.kinds().is_empty() {
        problem
    } else {
        problem.help(format!(
            "it brings {}",
            crate::config::list(&linked.kinds())
        ))
    }
}

/// Why none of what was found is what synth.toml asks for.
fn nothing_fits(
    kind: &str,
    request: &PluginRequest,
    candidates: &[&FoundPlugin],
    usable: &[&FoundPlugin],
) -> Diagnostic {
    let asked = asked(kind, request);
    if let Some(path) = &request.path {
        let at_path = candidates.iter().find(|found| found.path == *path);
        if let Some(problem) = at_path.and_then(|found| found.problem.clone()) {
            return problem;
        }
    }
    if usable.is_empty() {
        let unusable = candidates.iter().find_map(|found| found.problem.clone());
        return unusable.unwrap_or_else(|| not_installed(kind, Some(request)));
    }
    let problem = Diagnostic::error(
        "plugin.version",
        format!("no plugin for `{kind}` is the one that synth.toml asks for: {asked}"),
    )
    .concerning(Concern::Environment);
    let problem = usable.iter().fold(problem, |problem, found| {
        problem.cause(format!("found {}", found.shown()))
    });
    let is_of_crate = |found: &&FoundPlugin| {
        let name = found.file.as_ref().map(|file| &file.manifest.crate_name);
        request.crate_name.is_none() || request.crate_name.as_ref() == name
    };
    problem.help(if usable.iter().any(is_of_crate) {
        format!("`synth plugin update {kind}` gets one that fits")
    } else {
        "`synth plugin install` installs what synth.toml asks for".to_owned()
    })
}

fn asked(kind: &str, request: &PluginRequest) -> String {
    let name = request.crate_name.clone();
    let name = name.unwrap_or_else(|| format!("synth-target-{kind}"));
    format!("{name} {}", request.version)
}

fn not_installed(kind: &str, request: Option<&PluginRequest>) -> Diagnostic {
    let asked = request.map(|request| asked(kind, request));
    let asked = asked.unwrap_or_else(|| format!("synth-target-{kind}"));
    Diagnostic::error(
        "plugin.not_installed",
        format!("the plugin for `{kind}` is not installed: {asked}"),
    )
    .concerning(Concern::Environment)
    .help("`synth plugin install` installs what synth.toml asks for")
}

fn not_pinned(kind: &str, file: &PluginFile) -> Diagnostic {
    Diagnostic::error(
        "plugin.unpinned",
        format!(
            "`{}` is not opened: synth.lock has no digest of {} for this machine, and `--locked` asks for one",
            file.path.display(),
            file.name()
        ),
    )
    .concerning(Concern::Environment)
    .help(format!(
        "name it in synth.toml (`[plugins]`, `{kind} = \"^{}\"`) and run `synth build` once without `--locked`, then commit synth.lock",
        file.manifest.version
    ))
}

fn conflict_with_linked(kind: &str, linked: &Registry, usable: &[&FoundPlugin]) -> Diagnostic {
    let builtin = linked
        .description(kind)
        .map_or_else(String::new, |description| {
            format!("{} {}", description.crate_name, description.version)
        });
    let problem = Diagnostic::error(
        "plugin.conflict",
        format!("there is a plugin for `{kind}`, which synth brings itself"),
    )
    .cause(format!("synth brings {builtin}"));
    let problem = usable.iter().fold(problem, |problem, found| {
        problem.cause(format!("found {}", found.shown()))
    });
    let version = usable.first().and_then(|found| found.usable()).map_or_else(
        || "*".to_owned(),
        |file| format!("^{}", file.manifest.version),
    );
    problem
        .help(format!(
            "choose in synth.toml, below `[plugins]`: `{kind} = \"builtin\"` for synth's own, or `{kind} = \"{version}\"` for the plugin"
        ))
}

fn conflict(survey: &Survey, kind: &str, several: &[&FoundPlugin]) -> Diagnostic {
    let problem = Diagnostic::error(
        "plugin.conflict",
        format!("there are {} plugins for `{kind}`", several.len()),
    );
    let problem = several.iter().fold(problem, |problem, found| {
        problem.cause(format!("found {}", found.shown()))
    });
    let mut lines = Vec::new();
    for found in several {
        let Some(file) = found.usable() else { continue };
        let manifest = &file.manifest;
        let unique = |same: &dyn Fn(&PluginFile) -> bool| {
            let files = several.iter().filter_map(|other| other.usable());
            files.filter(|other| same(other)).count() == 1
        };
        let same_crate = |other: &PluginFile| other.manifest.crate_name == manifest.crate_name;
        let same_version = |other: &PluginFile| other.manifest.version == manifest.version;
        let (name, version) = (&manifest.crate_name, &manifest.version);
        let line = if unique(&same_crate) {
            format!("{kind} = {{ crate = \"{name}\" }}")
        } else if unique(&same_version) {
            format!("{kind} = \"={version}\"")
        } else if unique(&|other| same_crate(other) && same_version(other)) {
            format!("{kind} = {{ version = \"={version}\", crate = \"{name}\" }}")
        } else {
            let root = survey.config.root.as_deref();
            let path = root.and_then(|root| found.path.strip_prefix(root).ok());
            let path = path.unwrap_or(&found.path);
            format!("{kind} = {{ path = \"{}\" }}", path.display())
        };
        lines.push(format!("`{line}`"));
    }
    problem.help(format!(
        "choose in synth.toml, below `[plugins]`: {}",
        lines.join(" or ")
    ))
}
