//! What there is to install: the plugins that synth.toml and synth.lock ask for and that are not
//! there, and new versions of those that are.

use std::collections::BTreeSet;
use std::path::Path;

use semver::{Comparator, Op, Version, VersionReq};
use synth_core::{Diagnostic, HOST_TRIPLE};

use super::lock::{Lock, PinState};
use super::survey::pin_of;
use super::{BuildSettings, FoundPlugin, PluginFile, Record, Selection, Source, Survey, Wanted};
use crate::Registry;
use crate::config::Choice;

impl Survey {
    /// Whether synth.toml says something of a kind's plugin.
    #[must_use]
    pub fn names(&self, kind: &str) -> bool {
        self.config.choices.contains_key(kind)
    }

    /// The kinds whose plugin synth.toml or synth.lock asks for, sorted; those whose library
    /// synth.toml names by its path are nobody's to install.
    #[must_use]
    pub fn asked_for(&self) -> Vec<String> {
        let named = self.config.choices.iter();
        let named = named.filter(|(_, choice)| match choice {
            Choice::Builtin => false,
            Choice::Plugin(request) => request.path.is_none(),
        });
        // One that came from nowhere we know is nobody's wish: a crate that happens to have the
        // name is not fetched, and not executed, for it.
        let pins = self.lock.pins().filter(|(_, pin)| pin.source.is_some());
        let pinned = pins.map(|(kind, _)| kind);
        let pinned = pinned.filter(|kind| !self.names(kind));
        let kinds: BTreeSet<&str> = named.map(|(kind, _)| kind.as_str()).chain(pinned).collect();
        kinds.into_iter().map(ToOwned::to_owned).collect()
    }

    /// What has to be installed for a kind that is asked for; none when it is there.
    #[must_use]
    pub fn missing(&self, kind: &str, linked: &Registry) -> Option<Wanted> {
        match self.selections(linked).get(kind) {
            Some(Selection::Plugin(_) | Selection::Linked) => None,
            _ => Some(self.wanted(kind)),
        }
    }

    /// What synth.toml and synth.lock ask for.
    fn wanted(&self, kind: &str) -> Wanted {
        let request = self.config.request(kind).cloned().unwrap_or_default();
        let root = self.root().unwrap_or(Path::new("/"));
        // A pin that is not what synth.toml asks for any more tells nothing.
        let pin = self.lock.pin(kind).filter(|pin| {
            request.version.matches(&pin.version)
                && request
                    .crate_name
                    .as_ref()
                    .is_none_or(|name| *name == pin.crate_name)
        });
        let pinned_source = pin.and_then(|pin| pin.source.as_deref());
        let pinned_source = pinned_source.and_then(|source| Source::parse(source).ok());
        let source = match (request.source, pinned_source) {
            (Some(Source::Git { url, reference, .. }), Some(Source::Git { commit, .. })) => {
                Source::Git {
                    url,
                    reference,
                    commit,
                }
            }
            (Some(source), _) | (None, Some(source)) => source,
            (None, None) => Source::Registry,
        };
        let crate_name = pin.map(|pin| pin.crate_name.clone()).or(request.crate_name);
        Wanted {
            source: source.from_directory(root),
            crates: vec![crate_name.unwrap_or_else(|| format!("synth-target-{kind}"))],
            version: pin.map_or(request.version, |pin| exactly(&pin.version)),
            build: BuildSettings::default(),
            sha256: pin.and_then(|pin| pin.sha256.get(HOST_TRIPLE).cloned()),
            kind: Some(kind.to_owned()),
            locked: None,
        }
    }

    /// What has to be installed for a kind that is asked for, in whatever version and bytes
    /// synth.toml lets it have now; none when it is not asked for.
    #[must_use]
    pub fn anew(&self, kind: &str) -> Option<Wanted> {
        let is_asked_for = self.asked_for().iter().any(|asked| asked == kind);
        is_asked_for.then(|| {
            let request = self.config.request(kind);
            let wanted = self.wanted(kind);
            Wanted {
                source: without_commit(wanted.source),
                version: request.map_or(VersionReq::STAR, |request| request.version.clone()),
                sha256: None,
                ..wanted
            }
        })
    }

    /// What has to be installed for a new version of a library; none for one that `synth plugin
    /// install` did not put there.
    #[must_use]
    pub fn newer(&self, found: &FoundPlugin) -> Option<Wanted> {
        let file = found.file.as_ref()?;
        let record = Record::read(file)?;
        let request = self.config.request(&found.kind);
        Some(Wanted {
            source: without_commit(record.source),
            crates: vec![file.manifest.crate_name.clone()],
            version: request.map_or(VersionReq::STAR, |request| request.version.clone()),
            build: record.build,
            sha256: None,
            kind: Some(found.kind.clone()),
            locked: None,
        })
    }

    /// What brings a kind when its pin is left out of account.
    #[must_use]
    pub fn selection_without_pin(&self, kind: &str, linked: &Registry) -> Option<Selection> {
        let mut free = self.clone();
        free.lock.remove(kind);
        free.locked = false;
        free.selections(linked).remove(kind)
    }

    /// Pins a kind to a library. Gives whether synth.lock is another one now.
    ///
    /// # Errors
    /// Why synth.lock can't be written.
    pub fn pin_to(&self, kind: &str, file: &PluginFile) -> Result<bool, Diagnostic> {
        let Some(root) = self.root().filter(|_| !self.is_pinned_to(kind, file)) else {
            return Ok(false);
        };
        Lock::update(root, |lock| lock.set(kind, pin_of(root, file)))
    }

    /// Takes the pin of a kind that synth.toml does not name out of synth.lock. Gives whether it
    /// had one.
    ///
    /// # Errors
    /// Why synth.lock can't be written.
    pub fn unpin(&self, kind: &str) -> Result<bool, Diagnostic> {
        match self.root() {
            Some(root) if !self.names(kind) && self.lock.pin(kind).is_some() => {
                Lock::update(root, |lock| {
                    lock.remove(kind);
                })
            }
            _ => Ok(false),
        }
    }

    fn is_pinned_to(&self, kind: &str, file: &PluginFile) -> bool {
        let pin = self.lock.pin(kind);
        let root = self.root().unwrap_or(Path::new("/"));
        pin.is_some_and(|pin| {
            let source = pin_of(root, file).source;
            pin.compare(file) == PinState::Same && (source.is_none() || pin.source == source)
        })
    }
}

/// The same source as it is by now.
fn without_commit(source: Source) -> Source {
    match source {
        Source::Git { url, reference, .. } => Source::Git {
            url,
            reference,
            commit: None,
        },
        source => source,
    }
}

/// The requirement that one version alone meets.
#[must_use]
pub fn exactly(version: &Version) -> VersionReq {
    VersionReq {
        comparators: vec![Comparator {
            op: Op::Exact,
            major: version.major,
            minor: Some(version.minor),
            patch: Some(version.patch),
            pre: version.pre.clone(),
        }],
    }
}
