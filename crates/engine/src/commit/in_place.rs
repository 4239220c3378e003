//! What synth has put among the sources, target by target: which files are no sources therefore,
//! and whose each is: one record for each target.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use synth_core::{OutputKind, Plan, ProjectPath, TargetSpec};

use super::record::{self, Content, Present, Written};
use crate::config::Pipeline;
use crate::patterns::PathPatterns;
use crate::records::{Records, Sort};
use crate::state::State;
use crate::store::StoreError;

/// The files that targets have put among the sources of a project.
#[derive(Debug)]
pub(crate) struct InPlace {
    root: PathBuf,
    known: RwLock<Known>,
    declared: RwLock<Declared>,
    /// Whether files among the sources were found as they had been put there: looked at once in a
    /// build, as sources are.
    judged: RwLock<HashMap<String, bool>>,
    /// Held while files are put in place, one target after the other.
    turn: Mutex<()>,
    /// How many files have been written aside.
    aside: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    /// By target.
    pub(super) records: BTreeMap<String, Record>,
    /// By path from the project's root: the target that wrote it, or is about to.
    pub(super) owners: BTreeMap<String, String>,
    /// By directory that was made for what targets put in place: how many of them say so.
    directories: HashMap<String, usize>,
    /// By path: the targets whose records have it. `owners` says who is about to write it as well.
    writers: HashMap<String, Vec<String>>,
}

/// What one target has put in place. All paths are relative to the project's root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) target: String,
    #[serde(default)]
    pub(super) files: BTreeMap<String, Placed>,
    /// What is about to be written: a build that dies in between has left either.
    #[serde(default)]
    pub(super) pending: BTreeMap<String, Content>,
    /// Directories that were made for the files.
    #[serde(default)]
    pub(super) directories: BTreeSet<String>,
}

/// A file that was put in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Placed {
    #[serde(flatten)]
    pub(super) written: Written,
    pub(super) content: Content,
}

/// What the plans of a build say of what they leave where.
#[derive(Debug, Default)]
struct Declared {
    /// All that is to be left among the sources.
    outputs: PathPatterns,
    /// By target that is planned; none where a plan does not say which files it will be.
    by_target: HashMap<String, Option<Outputs>>,
    /// Output directories that are replaced as a whole, with their targets.
    directories: HashMap<ProjectPath, String>,
    /// Every target of the configuration.
    targets: BTreeSet<String>,
}

/// Which files a target is going to leave: asked for few.
#[derive(Debug)]
struct Outputs {
    patterns: Vec<String>,
    compiled: OnceLock<Option<PathPatterns>>,
}

impl Outputs {
    fn new(patterns: Vec<String>) -> Self {
        Self {
            patterns,
            compiled: OnceLock::new(),
        }
    }

    /// Of patterns that are none, which are reported by whoever takes the outputs, anything may be.
    fn is_match(&self, path: &str) -> bool {
        let compiled = || PathPatterns::new(&self.patterns).ok();
        let compiled = self.compiled.get_or_init(compiled).as_ref();
        compiled.is_none_or(|patterns| patterns.is_match(path))
    }
}

impl Record {
    /// Whether what is at a path is what this target has put there.
    pub(super) fn wrote(&self, path: &str, present: &Present) -> bool {
        let Present::Leaf(content) = present else {
            return false;
        };
        let placed = self.files.get(path).map(|placed| &placed.content);
        [placed, self.pending.get(path)].contains(&Some(content))
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &String> {
        self.files.keys().chain(self.pending.keys())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.pending.is_empty() && self.directories.is_empty()
    }
}

impl Known {
    fn read(root: &Path) -> Self {
        let mut known = Self::default();
        let records = Records::of(root).all(Sort::InPlace);
        let records: Vec<Record> = records
            .par_iter()
            .filter_map(|record| serde_json::from_slice(record).ok())
            .collect();
        for record in records {
            for path in record.paths() {
                known.owners.insert(path.clone(), record.target.clone());
            }
            known.insert(record);
        }
        known
    }

    fn insert(&mut self, record: Record) {
        for directory in &record.directories {
            *self.directories.entry(directory.clone()).or_default() += 1;
        }
        for path in record.paths() {
            let writers = self.writers.entry(path.clone()).or_default();
            writers.push(record.target.clone());
        }
        self.records.insert(record.target.clone(), record);
    }

    fn remove(&mut self, target: &str) -> Option<Record> {
        let record = self.records.remove(target)?;
        for directory in &record.directories {
            if let Some(count) = self.directories.get_mut(directory) {
                *count -= 1;
                if *count == 0 {
                    self.directories.remove(directory);
                }
            }
        }
        for path in record.paths() {
            if let Some(writers) = self.writers.get_mut(path) {
                writers.retain(|writer| writer != target);
                if writers.is_empty() {
                    self.writers.remove(path);
                }
            }
        }
        Some(record)
    }
}

impl InPlace {
    /// What the records of a project say.
    pub(crate) fn load(root: &Path) -> Arc<Self> {
        Arc::new(Self {
            root: root.to_owned(),
            known: RwLock::new(Known::read(root)),
            declared: RwLock::default(),
            judged: RwLock::default(),
            turn: Mutex::default(),
            aside: AtomicU64::default(),
        })
    }

    /// Reads the records again, which somebody else has written meanwhile.
    pub(super) fn reload(&self) {
        let known = Known::read(&self.root);
        *self.known_mut() = known;
        let mut judged = self.judged.write().unwrap_or_else(|e| e.into_inner());
        judged.clear();
    }

    /// A name for a file that is written aside, new in this build.
    pub(super) fn name_aside(&self) -> String {
        self.aside.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Takes note of what the targets of a build are going to leave.
    pub(crate) fn declare<'a>(
        &self,
        pipeline: &Pipeline,
        declarations: impl IntoIterator<Item = Declaration<'a>>,
    ) {
        let mut declared = Declared::default();
        let mut all = Vec::new();
        for declaration in declarations {
            let Declaration { target, place } = declaration;
            all.extend(place.patterns.iter().flatten().cloned());
            let outputs = place.patterns.map(Outputs::new);
            declared.by_target.insert(target.name.clone(), outputs);
            if !place.in_place {
                let directory = target.output_path.clone();
                declared.directories.insert(directory, target.name.clone());
            }
        }
        declared.outputs = PathPatterns::new(&all).unwrap_or_default();
        for target in pipeline.every_target.iter() {
            let planned = declared.by_target.contains_key(&target.name);
            if target.output_path_chosen && !planned {
                let directory = target.output_path.clone();
                declared.directories.insert(directory, target.name.clone());
            }
            declared.targets.insert(target.name.clone());
        }
        *self.declared.write().unwrap_or_else(|e| e.into_inner()) = declared;
    }

    /// Whether a file among the sources is no source: one that a plan is going to leave there, or
    /// one that is still as a target has put it there.
    pub(crate) fn is_output(&self, path: &str) -> bool {
        if self.declared().outputs.is_match(path) {
            return true;
        }
        if !self.known().owners.contains_key(path) {
            return false;
        }
        let judged = || self.judged.read().unwrap_or_else(|e| e.into_inner());
        let known = judged().get(path).copied();
        known.unwrap_or_else(|| {
            let verdict = self.is_written(path, None);
            let mut judged = self.judged.write().unwrap_or_else(|e| e.into_inner());
            judged.insert(path.to_owned(), verdict);
            verdict
        })
    }

    /// Whether a directory was made for what a target puts among the sources.
    pub(crate) fn made_directory(&self, path: &str) -> bool {
        self.known().directories.contains_key(path)
    }

    /// Whether a file is as it was put there, by one target or by any.
    pub(super) fn is_written(&self, path: &str, by: Option<&str>) -> bool {
        let known = self.known();
        let Some(owner) = known.owners.get(path) else {
            return false;
        };
        let Some(record) = known.records.get(owner) else {
            return false;
        };
        if by.is_some_and(|target| target != owner) {
            return false;
        }
        let disk = self.root.join(path);
        let Ok(now) = Written::of(&disk) else {
            return false;
        };
        if record
            .files
            .get(path)
            .is_some_and(|placed| placed.written == now)
        {
            return true;
        }
        Present::at(&disk).is_ok_and(|present| record.wrote(path, &present))
    }

    /// Waits until no other target is putting files in place.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(|e| e.into_inner())
    }

    fn declared(&self) -> RwLockReadGuard<'_, Declared> {
        self.declared.read().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn record(&self, target: &str) -> Record {
        self.known()
            .records
            .get(target)
            .cloned()
            .unwrap_or_default()
    }

    /// The records of other targets that say that they wrote one of `paths`.
    pub(super) fn of_others<'a>(
        &self,
        target: &str,
        paths: impl Iterator<Item = &'a String>,
    ) -> Vec<Record> {
        let known = self.known();
        let writers = paths.filter_map(|path| known.writers.get(path)).flatten();
        let others: BTreeSet<&String> = writers.collect();
        let others = others.into_iter().filter(|other| *other != target);
        let records = others.filter_map(|other| known.records.get(other));
        records.cloned().collect()
    }

    /// The targets that have put something in place.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.known().records.keys().cloned().collect()
    }

    /// Keeps a target's record, here and in the workspace's state.
    pub(super) fn keep(&self, state: &State, record: Record) -> Result<(), StoreError> {
        match record.is_empty() {
            true => state.records().remove(Sort::InPlace, &record.target)?,
            false => record::write(state.records(), Sort::InPlace, &record.target, &record)?,
        }
        let mut known = self.known_mut();
        let mut judged = self.judged.write().unwrap_or_else(|e| e.into_inner());
        if let Some(before) = known.remove(&record.target) {
            for path in before.paths() {
                if known.owners.get(path) == Some(&record.target) {
                    known.owners.remove(path);
                }
            }
        }
        for path in record.paths() {
            judged.remove(path);
            known.owners.insert(path.clone(), record.target.clone());
        }
        if !record.is_empty() {
            known.insert(record);
        }
        Ok(())
    }

    /// Whether a target may still leave a file that it wrote once: it is there, and, if it is
    /// planned, its plan says so.
    pub(super) fn may_leave(&self, target: &str, path: &str) -> bool {
        let declared = self.declared();
        if !declared.targets.contains(target) {
            return false;
        }
        match declared.by_target.get(target) {
            Some(Some(outputs)) => outputs.is_match(path),
            Some(None) | None => true,
        }
    }

    /// The target whose output directory a path lies in.
    pub(super) fn in_output_directory(&self, path: &ProjectPath) -> Option<(String, ProjectPath)> {
        let declared = self.declared();
        let mut above = std::iter::successors(Some(path.clone()), ProjectPath::parent);
        above.find_map(|directory| {
            let target = declared.directories.get(&directory)?;
            Some((target.clone(), directory))
        })
    }
}

/// Where a target leaves its outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputPlace {
    /// Whether among its sources.
    pub(crate) in_place: bool,
    /// Patterns, relative to the project's root, of what it leaves among the sources; none when
    /// its plan does not say which files it will be.
    pub(crate) patterns: Option<Vec<String>>,
}

/// A target of a build, with where it leaves its outputs.
pub(crate) struct Declaration<'a> {
    pub(crate) target: &'a TargetSpec,
    pub(crate) place: OutputPlace,
}

impl OutputPlace {
    pub(crate) fn of(target: &TargetSpec, plan: &Plan) -> Self {
        Self {
            in_place: plan.in_place,
            patterns: declared_patterns(target, plan),
        }
    }
}

fn declared_patterns(target: &TargetSpec, plan: &Plan) -> Option<Vec<String>> {
    if !plan.in_place {
        return Some(Vec::new());
    }
    let mut patterns = Vec::new();
    for export in &plan.exports {
        let output = plan
            .actions
            .iter()
            .filter(|action| action.id == export.action)
            .flat_map(|action| &action.outputs)
            .find(|output| output.name == export.output)?;
        let base = target.source_path.join(&export.path).ok()?;
        let escaped = globset::escape(base.as_str());
        if !output.patterns.is_empty() {
            patterns.extend(output.patterns.iter().map(|pattern| {
                let pattern = pattern.trim_start_matches("./");
                if escaped.is_empty() {
                    pattern.to_owned()
                } else {
                    format!("{escaped}/{pattern}")
                }
            }));
        } else if output.kind == OutputKind::File || base != target.source_path {
            patterns.push(escaped);
        } else {
            return None;
        }
    }
    Some(patterns)
}
