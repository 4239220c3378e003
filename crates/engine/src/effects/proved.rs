//! What the last build of each target has proven: what it exports, by digest, and the effects that
//! its plan has for it. Kept by the target's very table, so that a publish that follows needs no
//! plan, and finds nothing when the configuration has changed.

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Serialize};
use synth_core::{Effect, EffectPhase, Plan, TargetSpec};

use super::record::{Exported, ExportedFile};
use crate::digest::digest_bytes;
use crate::kind::Kind;
use crate::records::{Records, Sort};
use crate::store::StoreError;
use crate::tree::{Tree, TreeEntry};

/// The id of the effect that comes from a target's `publish`.
pub(crate) const DIRECTORY_EFFECT: &str = "directory";

/// The version of the record. Another one is no record.
const VERSION: u32 = 1;

/// What a build has proven of a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Proved {
    version: u32,
    /// The crate that planned it.
    pub(crate) crate_name: String,
    pub(crate) crate_version: Version,
    pub(crate) exported: Exported,
    /// The digests of what the targets that it needs exported to it.
    pub(crate) needs: BTreeMap<String, String>,
    pub(crate) effects: Vec<Effect>,
}

impl Proved {
    /// Of a target whose exports are a tree, and were made of those that it needs.
    pub(crate) fn of(
        spec: &TargetSpec,
        kind: &Kind,
        plan: &Plan,
        tree: &Tree,
        needs: BTreeMap<String, String>,
    ) -> Self {
        let place = match plan.in_place {
            true => &spec.source_path,
            false => &spec.output_path,
        };
        let mut exported = Exported {
            place: place.clone(),
            digest: tree.digest().sha256,
            directories: tree.empty_directories(),
            ..Exported::default()
        };
        for (path, entry) in tree.leaves() {
            match entry {
                TreeEntry::File(file) => {
                    let file = ExportedFile {
                        digest: file.digest.clone(),
                        executable: file.executable,
                    };
                    exported.files.insert(path, file);
                }
                TreeEntry::Symlink(link) => {
                    exported.links.insert(path, link.clone());
                }
                TreeEntry::Directory(_) => {}
            }
        }
        let description = kind.description();
        Self {
            version: VERSION,
            crate_name: description.crate_name.clone(),
            crate_version: description.version.clone(),
            exported,
            needs,
            effects: effects(spec, plan),
        }
    }
}

/// The effects of a plan, and the one that the engine has for every kind.
fn effects(spec: &TargetSpec, plan: &Plan) -> Vec<Effect> {
    let mut effects = plan.effects.clone();
    effects.extend(spec.publish.clone().map(|publish| {
        let description = format!("put `{}` into `{}`", spec.name, publish.directory);
        Effect::new(DIRECTORY_EFFECT, EffectPhase::Publish, description, publish)
    }));
    effects
}

/// The name of a target's record, which is of its very table.
pub(crate) fn name(spec: &TargetSpec) -> String {
    let table = serde_json::to_vec(spec).unwrap_or_default();
    format!("{} {}", spec.name, digest_bytes(&table).sha256)
}

/// Of how many tables of one target it is kept what was proven of them: those of other environments,
/// and of edits that may be taken back.
const TABLES: u32 = 20;

/// Keeps what a build has proven, and forgets what it has not.
pub(crate) fn keep(
    records: &Records,
    proved: &[(&TargetSpec, Proved)],
    not_proved: &[&TargetSpec],
) -> Result<(), StoreError> {
    for spec in not_proved {
        records.remove(Sort::Proved, &name(spec))?;
    }
    let written: Vec<(String, Vec<u8>)> = proved
        .iter()
        .filter_map(|(spec, proved)| Some((name(spec), serde_json::to_vec(proved).ok()?)))
        .collect();
    if written.is_empty() {
        return Ok(());
    }
    let written = written.iter();
    records.put_newest(
        Sort::Proved,
        TABLES,
        written.map(|(name, value)| (name.as_str(), value.as_slice())),
    )
}

/// What the last build of a target has proven, if its table is still the same.
pub(crate) fn find(records: &Records, spec: &TargetSpec) -> Option<Proved> {
    let value = records.get(Sort::Proved, &name(spec))?;
    let proved: Proved = serde_json::from_slice(&value).ok()?;
    (proved.version == VERSION).then_some(proved)
}
