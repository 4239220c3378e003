//! Puts together what a build saw and left: of each target that succeeded, the facts that its plan,
//! its actions and its outputs rest on.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use rayon::prelude::*;
use synth_core::{InputSource, Plan, PlanContext, ProjectPath, SourceFiles, TargetSpec};
use synth_core::{Tool, ToolError, ToolRequest};

use super::contents::{Contents, Entry};
use super::fact::{Fact, Seen, Verdict};
use super::stamp::{Stamp, file_clock};
use crate::commit::Outputs;
use crate::digest::{Hashed, hash_again};
use crate::listing::Listing;
use crate::project::Project;
use crate::recorded::{Answered, Dialogue, Question};
use crate::report::{ActionStatus, TargetReport, TargetStatus};
use crate::store::KeptTree;
use crate::tools;

/// A target of a build that is over.
pub(crate) struct Built<'a> {
    pub(crate) spec: &'a TargetSpec,
    pub(crate) plan: &'a Plan,
    /// What its kind asked of the project; none when that can't be relied on.
    pub(crate) dialogue: Option<&'a Dialogue>,
    /// What it exports.
    pub(crate) exports: KeptTree,
    pub(crate) report: &'a TargetReport,
}

/// A target that the earlier index spoke for.
pub(crate) struct Unchanged<'a> {
    pub(crate) spec: &'a TargetSpec,
    /// Whether its outputs had to be put in place again, and if so, whether among its sources.
    pub(crate) restored: Option<bool>,
}

/// Facts, each once.
#[derive(Default)]
struct FactTable<'a> {
    facts: Vec<Fact<'a>>,
    /// By path: where its facts are. Of those that are carried over, only what was asked for.
    by_path: HashMap<Cow<'a, str>, Vec<u32>, foldhash::fast::RandomState>,
}

impl<'a> FactTable<'a> {
    /// A fact's place, which it has from now on.
    fn add(&mut self, fact: Fact<'a>) -> u32 {
        let places = self.by_path.entry(fact.path.clone()).or_default();
        let same = |place: &&u32| {
            let place = usize::try_from(**place);
            place.is_ok_and(|place| self.facts.get(place) == Some(&fact))
        };
        if let Some(place) = places.iter().find(same) {
            return *place;
        }
        let place = u32::try_from(self.facts.len()).unwrap_or(u32::MAX);
        places.push(place);
        self.facts.push(fact);
        place
    }

    /// The place of a fact of which there was one before: most are of no path that has been added,
    /// and none of these comes twice.
    fn add_one_of_before(&mut self, fact: Fact<'a>) -> u32 {
        if self.by_path.contains_key(&fact.path) {
            return self.add(fact);
        }
        let place = u32::try_from(self.facts.len()).unwrap_or(u32::MAX);
        self.facts.push(fact);
        place
    }
}

type Facts = Vec<Fact<'static>>;

/// What all targets of a build share.
pub(crate) struct Gathering<'a> {
    pub(crate) project: &'a Project,
    pub(crate) outputs: &'a Outputs,
}

/// Puts an index together, a tick after the last of the build was written: entries for `built`, and
/// those of `unchanged` targets. `common` is what concerns every target.
pub(crate) fn gather<'a>(
    gathering: &Gathering<'_>,
    common: Vec<Fact<'static>>,
    built: &[Built<'_>],
    earlier: Option<(&'a Contents<'a>, &[Verdict])>,
    unchanged: &[Unchanged<'_>],
) -> Contents<'a> {
    let mut table = FactTable::default();
    for fact in common {
        table.add(fact);
    }
    let common = table.facts.len();
    let mut entries = Vec::new();
    let found: Vec<_> = built
        .par_iter()
        .map(|built| Some((built, gathering.facts(built)?)))
        .collect();
    for (built, (facts, left)) in found.into_iter().flatten() {
        let mut all = |facts: Facts| facts.into_iter().map(|fact| table.add(fact)).collect();
        entries.extend(entry(built, all(facts), all(left)));
    }
    if let Some((contents, verdicts)) = earlier {
        let before = Before {
            contents,
            verdicts,
            root: gathering.project.root(),
            carried: vec![None; contents.facts.len()],
        };
        entries.extend(carried_over(gathering, before, unchanged, &mut table));
    }
    Contents {
        facts: table.facts,
        common,
        entries,
        ..Contents::default()
    }
}

/// The entries of targets that the earlier index spoke for.
fn carried_over<'a>(
    gathering: &Gathering<'_>,
    mut before: Before<'a, '_>,
    unchanged: &[Unchanged<'_>],
    table: &mut FactTable<'a>,
) -> Vec<Entry<'a>> {
    let mut unchanged: HashMap<&str, Option<Option<Facts>>> = unchanged
        .par_iter()
        .map(|one| {
            let left = one.restored;
            let left = left.map(|in_place| gathering.left(one.spec, in_place));
            (one.spec.name.as_str(), left)
        })
        .collect();
    let kept = before.contents.entries.iter();
    let kept = kept.filter_map(|entry| {
        let (facts, left) = match unchanged.remove(entry.name.as_ref())? {
            None => (
                before.carry_over(&entry.facts, table),
                before.carry_over(&entry.left, table),
            ),
            // What is not as it was written is looked at by the next build.
            Some(left) => before.restored(entry, left?, table)?,
        };
        Some(Entry {
            facts,
            left,
            name: Cow::Borrowed(&entry.name),
            exports: entry.exports.clone(),
            report: Cow::Borrowed(&entry.report),
        })
    });
    kept.collect()
}

/// Facts by index.
type Indices = Vec<u32>;

/// What is known of an earlier build.
struct Before<'a, 'v> {
    contents: &'a Contents<'a>,
    verdicts: &'v [Verdict],
    root: &'v Path,
    /// Where its facts are now, as far as they are carried over.
    carried: Vec<Option<u32>>,
}

impl<'a> Before<'a, '_> {
    /// Facts, by index, that are still as they were.
    fn carry_over(&mut self, facts: &[u32], table: &mut FactTable<'a>) -> Indices {
        let facts = facts.iter();
        facts
            .filter_map(|index| self.carry_one_over(*index, table))
            .collect()
    }

    fn carry_one_over(&mut self, index: u32, table: &mut FactTable<'a>) -> Option<u32> {
        let index = usize::try_from(index).ok()?;
        let carried = self.carried.get_mut(index)?;
        if carried.is_none() {
            let mut fact = self.contents.facts.get(index)?.clone();
            if let Some(Verdict::Touched(now)) = self.verdicts.get(index) {
                touched(&mut fact, *now, self.root);
            }
            *carried = Some(table.add_one_of_before(fact));
        }
        *carried
    }

    /// Those of a target whose outputs have been put in place again: what it rests on, where that is
    /// an output of its own as it is now, and what it has left.
    fn restored(
        &mut self,
        entry: &Entry<'_>,
        left: Facts,
        table: &mut FactTable<'a>,
    ) -> Option<(Indices, Indices)> {
        let now: BTreeMap<String, u32> = left
            .into_iter()
            .map(|fact| (fact.path.to_string(), table.add(fact)))
            .collect();
        let mut facts = Vec::new();
        for index in &entry.facts {
            let fact = self.contents.facts.get(usize::try_from(*index).ok()?)?;
            match now.get(fact.path.as_ref()) {
                Some(now) if matches!(fact.seen, Seen::Stamped(_)) => facts.push(*now),
                _ => facts.extend(self.carry_one_over(*index, table)),
            }
        }
        Some((facts, now.into_values().collect()))
    }
}

/// Gives a fact of a file that was dated anew its new stamp.
fn touched(fact: &mut Fact<'_>, now: Stamp, root: &Path) {
    let path = root.join(fact.path.as_ref());
    let Seen::File { stamp, sha256 } = &mut fact.seen else {
        return;
    };
    *stamp = now;
    if now == Stamp::never() {
        // It was too young to tell; by now it is not.
        let again = hash_again(&path).ok();
        if let Some(again) = again.filter(|again| again.settled)
            && again.digest.sha256 == hex::encode(*sha256)
        {
            *stamp = again.stamp;
        }
    }
}

fn entry(built: &Built<'_>, facts: Vec<u32>, left: Vec<u32>) -> Option<Entry<'static>> {
    let mut report = built.report.clone();
    report.status = TargetStatus::UpToDate;
    report.duration_ms = 0;
    report.reasons.clear();
    report.needs.clear();
    for action in &mut report.actions {
        action.reasons.clear();
        action.status = ActionStatus::Cached;
        action.waited = false;
        action.started_us = None;
        action.attempts = None;
        action.flaky = false;
        action.retries.clear();
        action.duration_ms = 0;
        action.cpu_ms = None;
        action.peak_memory_bytes = None;
        action.read_bytes = None;
        action.written_bytes = None;
        action.log = None;
    }
    Some(Entry {
        name: built.spec.name.clone().into(),
        facts,
        left,
        exports: built.exports.clone(),
        report: serde_json::to_string(&report).ok()?.into(),
    })
}

impl Gathering<'_> {
    /// All that a target rests on, and what it has left; none when something of it can't be watched.
    fn facts(&self, built: &Built<'_>) -> Option<(Facts, Facts)> {
        let mut facts = Vec::new();
        for answered in built.dialogue?.answers() {
            self.of_question(answered, &mut facts)?;
        }
        for action in &built.plan.actions {
            for input in &action.inputs {
                match &input.from {
                    InputSource::Source(files) => {
                        let listing = self.project.listing(files).ok()?;
                        self.of_listing(files, &listing, &mut facts)?;
                        self.of_files(&files.root, &listing.files, &mut facts)?;
                    }
                    InputSource::Files { root, paths } => {
                        self.of_files(root, paths, &mut facts)?;
                    }
                    _ => {}
                }
            }
        }
        let left = self.left(built.spec, built.plan.in_place)?;
        Some((facts, left))
    }

    /// What a target has left.
    fn left(&self, target: &TargetSpec, in_place: bool) -> Option<Facts> {
        let left = self.outputs.left(target, in_place)?.into_iter();
        left.map(|(path, seen)| self.fact(&path, seen)).collect()
    }

    /// A fact of a path: none when it can't be written down.
    fn fact(&self, path: &Path, seen: Seen<'static>) -> Option<Fact<'static>> {
        let shown = path.strip_prefix(self.project.root()).unwrap_or(path);
        let path = match shown.to_str()? {
            "" => ".",
            path => path,
        };
        Some(Fact {
            path: Cow::Owned(path.to_owned()),
            seen,
        })
    }

    fn of_question(&self, answered: &Answered, facts: &mut Vec<Fact<'static>>) -> Option<()> {
        let project = self.project;
        match &answered.question {
            Question::Read(path) => {
                if answered.question.put(project)? != answered.answer {
                    return None;
                }
                let disk = project.disk_path(path);
                match project.real_path(path) {
                    Ok(real) => {
                        if real != disk {
                            let to = Cow::Owned(real.to_str()?.to_owned());
                            facts.push(self.fact(&disk, Seen::LeadsTo(to))?);
                        }
                        facts.push(self.of_file(&real)?);
                    }
                    Err(_) if fs::symlink_metadata(&disk).is_err() => {
                        facts.push(self.fact(&disk, Seen::Nothing)?);
                    }
                    Err(_) => return None,
                }
            }
            Question::Kind(path) => {
                let kind = project.kind(path).ok()?;
                if kind.is_none() && project.in_place().is_output(path.as_str()) {
                    return None;
                }
                facts.push(self.fact(&project.disk_path(path), Seen::Kind(kind.into()))?);
            }
            Question::Files(files) | Question::Directories(files) => {
                let listing = project.planned_listing(files)?;
                self.of_listing(files, &listing, facts)?;
            }
            Question::Link(path) => {
                if project.in_place().is_output(path.as_str()) {
                    return None;
                }
                let disk = project.disk_path(path);
                facts.push(match project.link(path).ok()? {
                    Some(to) => self.fact(&disk, Seen::Link(to.into()))?,
                    None => self.fact(&disk, Seen::Kind(project.kind(path).ok()?.into()))?,
                });
            }
            Question::Tool(request) => self.of_tool(request, facts)?,
        }
        Some(())
    }

    /// The directories that a listing was read from, if it would be the same now.
    fn of_listing(
        &self,
        files: &SourceFiles,
        listing: &Listing,
        facts: &mut Vec<Fact<'static>>,
    ) -> Option<()> {
        let same = listing.holds_no_outputs(self.project, files);
        if same && listing.is_as_it_was(self.project) {
            return self.of_directories(listing, facts);
        }
        let now = self.project.list_now(files).ok()?;
        // What was written since among the sources is no source.
        let is_source = |path: &&String| {
            let path = files.root.join(path);
            path.is_ok_and(|path| !self.project.in_place().is_output(path.as_str()))
        };
        if !listing.files.iter().filter(is_source).eq(&now.files)
            || !now
                .directories
                .iter()
                .all(|path| listing.directories.binary_search(path).is_ok())
        {
            return None;
        }
        // What is no source because a target wrote it is one when somebody else has written it.
        for path in &now.passed_over {
            let disk = self.project.disk_path(&files.root.join(path).ok()?);
            let looked = file_clock();
            let stamp = Stamp::of(&fs::symlink_metadata(&disk).ok()?);
            facts.push(self.fact(&disk, Seen::Stamped(stamp.if_settled(looked)))?);
        }
        self.of_directories(&now, facts)
    }

    fn of_directories(&self, listing: &Listing, facts: &mut Vec<Fact<'static>>) -> Option<()> {
        for (path, stamp, looked) in &listing.looked_at {
            let seen = Seen::Listed(stamp.if_settled(*looked));
            facts.push(self.fact(&self.project.disk_path(path), seen)?);
        }
        for (path, kind) in &listing.ways {
            let seen = Seen::Kind((*kind).into());
            facts.push(self.fact(&self.project.disk_path(path), seen)?);
        }
        Some(())
    }

    fn of_files(
        &self,
        root: &ProjectPath,
        paths: &[String],
        facts: &mut Vec<Fact<'static>>,
    ) -> Option<()> {
        for path in paths {
            let path = root.join(path).ok()?;
            if self.project.in_place().is_output(path.as_str()) {
                continue;
            }
            let disk = self.project.disk_path(&path);
            if self.project.digests().found(&disk).is_some() {
                facts.push(self.of_file(&disk)?);
            } else if let Some(to) = self.project.link(&path).ok()? {
                facts.push(self.fact(&disk, Seen::Link(to.into()))?);
            } else {
                let kind = self.project.kind(&path).ok()?;
                facts.push(self.fact(&disk, Seen::Kind(kind.into()))?);
            }
        }
        Some(())
    }

    /// A file that was hashed in this build.
    fn of_file(&self, disk: &Path) -> Option<Fact<'static>> {
        let mut hashed = self.project.digests().found(disk)?;
        if !hashed.settled {
            // It was young when it was hashed: only what is still the same is known.
            let again = hash_again(disk).ok()?;
            if again.digest != hashed.digest {
                return None;
            }
            hashed = again;
        }
        self.fact(disk, seen_file(&hashed)?)
    }

    fn of_tool(&self, request: &ToolRequest, facts: &mut Vec<Fact<'static>>) -> Option<()> {
        let found: Result<Tool, ToolError> = self.project.tool(request);
        let found = match found {
            Ok(tool) => Some(tool),
            Err(ToolError::Missing { .. }) => None,
            Err(_) => return None,
        };
        for candidate in tools::candidates(&request.program) {
            if found.as_ref().is_some_and(|tool| tool.path == candidate) {
                break;
            }
            let seen = match fs::symlink_metadata(&candidate) {
                Ok(metadata) => Seen::Stamped(Stamp::of(&metadata)),
                Err(_) => Seen::Nothing,
            };
            facts.push(self.fact(&candidate, seen)?);
        }
        let Some(tool) = found else { return Some(()) };
        facts.push(self.of_file(&tool.path)?);
        if !request.version_arguments.is_empty() && tools::stands_for_another(&tool.path) {
            let seen = Seen::Version {
                arguments: request.version_arguments.clone(),
                output: tool.version_output.into(),
            };
            facts.push(self.fact(&tool.path, seen)?);
        }
        Some(())
    }
}

pub(crate) fn seen_file(hashed: &Hashed) -> Option<Seen<'static>> {
    let mut sha256 = [0; 32];
    hex::decode_to_slice(&hashed.digest.sha256, &mut sha256).ok()?;
    let stamp = if hashed.settled {
        hashed.stamp
    } else {
        Stamp::never()
    };
    Some(Seen::File { stamp, sha256 })
}
