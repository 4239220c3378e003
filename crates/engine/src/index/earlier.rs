//! The index of an earlier build of the same request, compared with what is there now.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rayon::prelude::*;
use synth_core::{Diagnostic, Digest};

use super::contents::{self, Contents};
use super::fact::{Base, Seen, Verdict};
use super::stamp::{Stamp, file_clock};
use crate::build::{build_name, default_store_directory};
use crate::commit::undo;
use crate::digest::digest_bytes;
use crate::plugin::PluginOptions;
use crate::registry::executable_identity;
use crate::report::{BuildReport, REPORT_VERSION, TargetReport};
use crate::state::{State, WorkspaceLock};
use crate::target_report::milliseconds;
use crate::{LoadOptions, TargetStatus};

/// How many indices a workspace keeps: one for each choice of targets and settings.
const KEPT: usize = 8;

/// What is asked for, as far as it decides what a build does: what is the same finds the same
/// index.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// The directory that synth works in, absolute.
    pub directory: PathBuf,
    /// What is read, and how.
    pub options: LoadOptions,
    /// The targets named.
    pub targets: Vec<String>,
    /// Where plugins are looked for.
    pub plugins: PluginOptions,
    /// The store's directory; none for the user's own.
    pub store: Option<PathBuf>,
    /// Whatever else decides, such as flags.
    pub other: Vec<String>,
}

/// Variables of the user that decide which programs are found. What else is passed on to actions
/// is not in their keys.
const VARIABLES: [&str; 2] = ["PATH", "HOME"];

impl BuildRequest {
    /// Where the index of such builds is, below the project's state; none when this program can't
    /// be told from another version of it.
    fn index(&self, root: &Path) -> Option<PathBuf> {
        let variables = VARIABLES.map(std::env::var_os);
        let PluginOptions {
            directories,
            locked,
            ..
        } = &self.plugins;
        let all = format!(
            "{:?}",
            (
                (&self.directory, &self.options, &self.targets, &self.other),
                (directories, locked, &self.store, default_store_directory()),
                (variables, executable_identity()?, env!("CARGO_PKG_VERSION")),
            )
        );
        let name = digest_bytes(all.as_bytes()).sha256;
        Some(State::index_directory(root).join(name.get(..32)?))
    }

    /// The directory of the configuration file, as it is found without reading it.
    fn root(&self) -> Option<PathBuf> {
        let config = match &self.options.config {
            Some(config) => self.directory.join(config),
            None => return Some(self.directory.clone()),
        };
        fs::canonicalize(config.parent()?).ok()
    }
}

/// What an earlier build of the same request left behind, if it did.
#[derive(Debug)]
pub struct Earlier {
    root: PathBuf,
    path: PathBuf,
    started: Instant,
    /// Held from the look at what is there until the build is over.
    lock: Mutex<Option<WorkspaceLock>>,
    found: Option<Found>,
}

/// An index, with what became of its facts.
#[derive(Debug)]
struct Found {
    index: Index,
    verdicts: Vec<Verdict>,
}

self_cell::self_cell!(
    /// The bytes of an index, with what they say.
    struct Index {
        owner: Vec<u8>,
        #[covariant]
        dependent: Contents,
    }
    impl {Debug}
);

impl Earlier {
    /// Looks for the index and compares it. While another build holds the workspace that tells
    /// only whether there was nothing to do; a build compares again when it holds it.
    #[must_use]
    pub fn look(request: &BuildRequest) -> Option<Self> {
        let started = Instant::now();
        let root = request.root()?;
        let path = request.index(&root)?;
        let mut earlier = Self {
            root,
            path,
            started,
            lock: Mutex::default(),
            found: None,
        };
        if earlier.path.exists() {
            let lock = State::open(&earlier.root).and_then(|state| state.try_lock(1));
            earlier.lock = Mutex::new(lock.ok().flatten());
            earlier.found = Found::read(&earlier.path, &earlier.root);
        }
        Some(earlier)
    }

    /// The project's root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The lock of the workspace, if it was taken when the comparison began.
    pub(crate) fn take_lock(&self) -> Option<WorkspaceLock> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        lock.take()
    }

    /// Compares again: another build of the workspace was at work meanwhile.
    pub(crate) fn look_again(&self) -> Self {
        Self {
            root: self.root.clone(),
            path: self.path.clone(),
            started: self.started,
            lock: Mutex::default(),
            found: Found::read(&self.path, &self.root),
        }
    }

    /// The report of a build that has nothing to do: none where there is something.
    #[must_use]
    pub fn nothing_to_do(&self) -> Option<BuildReport> {
        if undo::is_left(&self.root) {
            return None;
        }
        let found = self.found.as_ref()?;
        let contents = found.index.borrow_dependent();
        if contents.entries.len() != contents.targets
            || !found
                .verdicts
                .iter()
                .all(|verdict| *verdict == Verdict::Same)
        {
            return None;
        }
        let diagnostics: Vec<Diagnostic> = serde_json::from_str(&contents.diagnostics).ok()?;
        let reports = contents.entries.iter().map(|entry| entry.report());
        Some(BuildReport {
            version: REPORT_VERSION,
            build: build_name(),
            pipeline: contents.pipeline.to_string(),
            environment: contents.environment.as_ref().map(ToString::to_string),
            success: true,
            partial: false,
            duration_ms: milliseconds(self.started.elapsed()),
            targets: reports.collect::<Option<_>>()?,
            effects: Vec::new(),
            effects_build: String::new(),
            diagnostics,
        })
    }

    /// What the index says, and of each fact what became of it.
    pub(crate) fn contents(&self) -> Option<(&Contents<'_>, &[Verdict])> {
        let found = self.found.as_ref()?;
        Some((found.index.borrow_dependent(), &found.verdicts))
    }

    /// Keeps what a build saw and left for the next one, and removes what was kept long ago.
    pub(crate) fn keep(&self, contents: &Contents<'_>) {
        // Without an index the next build looks at everything, and does the same.
        let _ = contents::write(&self.path, contents);
        let directory = State::index_directory(&self.root);
        let mut files: Vec<_> = fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort();
        let surplus = files.len().saturating_sub(KEPT);
        for (_, path) in &files[..surplus] {
            let _ = fs::remove_file(path);
        }
    }
}

impl Found {
    fn read(path: &Path, root: &Path) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let index = Index::try_new(bytes, |bytes| contents::read(bytes).ok_or(())).ok()?;
        let contents = index.borrow_dependent();
        if Path::new(contents.root.as_ref()) != root {
            return None;
        }
        let base = Base::open(root).ok()?;
        let looked = file_clock();
        let facts = contents.facts.par_iter().with_min_len(256);
        let verdicts = facts.map(|fact| settled(fact.judge(&base, root), looked));
        let verdicts = verdicts.collect();
        Some(Self { index, verdicts })
    }
}

/// A stamp that does not tell enough yet is not kept.
fn settled(verdict: Verdict, looked: i64) -> Verdict {
    match verdict {
        Verdict::Touched(stamp) if !stamp.is_settled(looked) => Verdict::Touched(Stamp::never()),
        verdict => verdict,
    }
}

/// Removes what builds of a workspace saw and left: the next one looks at everything.
pub(crate) fn forget(root: &Path) -> io::Result<()> {
    match fs::remove_dir_all(State::index_directory(root)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl contents::Entry<'_> {
    /// Its report in a build that has nothing to do for it.
    pub(crate) fn report(&self) -> Option<TargetReport> {
        let mut report = self.report_of_cached()?;
        for action in &mut report.actions {
            action.after.clear();
            action.executed_ms = None;
        }
        Some(report)
    }

    /// Its report in a build that has only its outputs to put in place.
    pub(crate) fn report_of_cached(&self) -> Option<TargetReport> {
        let report: TargetReport = serde_json::from_str(&self.report).ok()?;
        (report.status == TargetStatus::UpToDate).then_some(report)
    }
}

/// The digests that an index knows of what targets read, by absolute path. Those of targets that
/// `is_settled` are not asked for.
pub(crate) fn digests(
    contents: &Contents<'_>,
    root: &Path,
    is_settled: impl Fn(&str) -> bool,
) -> HashMap<PathBuf, (Stamp, Digest)> {
    let open = contents.entries.iter();
    let open = open.filter(|entry| !is_settled(&entry.name));
    let wanted: HashSet<u32> = open.flat_map(|entry| entry.facts.iter().copied()).collect();
    let facts = wanted.into_iter().filter_map(|index| {
        let fact = contents.facts.get(usize::try_from(index).ok()?)?;
        match &fact.seen {
            Seen::File { stamp, sha256 } if *stamp != Stamp::never() => {
                let digest = Digest {
                    sha256: hex::encode(sha256),
                    size: stamp.size(),
                };
                Some((root.join(fact.path.as_ref()), (*stamp, digest)))
            }
            _ => None,
        }
    });
    facts.collect()
}
