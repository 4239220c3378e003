//! What all journals of a workspace tell together: what is unfinished, what was applied before, and
//! which of them nobody needs any more.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use synth_core::{Concern, Diagnostic};

use super::journal::{self, JournalError};
use super::record::{Entry, Standing, Story};

/// How many publishes, the last ones that did something, can be rolled back.
pub(super) const KEPT: usize = 100;

/// The journals of a workspace.
pub(super) struct Stories {
    /// The oldest first.
    told: Vec<Told>,
    /// Those that were begun, and their first record not written: nothing followed.
    empty: Vec<PathBuf>,
}

/// A journal.
struct Told {
    path: PathBuf,
    /// The error is that of a publish that has ended.
    story: Result<Story, JournalError>,
}

/// An effect, for all publishes: its target and its name.
type Key<'a> = (&'a str, &'a str);

impl Told {
    fn story(&self) -> Option<&Story> {
        self.story.as_ref().ok()
    }

    fn is_of(&self, build: &str) -> bool {
        self.path.file_name().is_some_and(|name| name == build)
    }
}

impl Stories {
    /// Reads them all.
    ///
    /// # Errors
    /// When one can't be read whose publish may be unfinished.
    pub(super) fn read(root: &Path) -> Result<Self, Diagnostic> {
        let directory = journal::directory(root);
        let names =
            journal::names(root).map_err(|error| journal::unreadable(&directory, &error.into()))?;
        let mut stories = Self {
            told: Vec::new(),
            empty: Vec::new(),
        };
        for name in names {
            let path = directory.join(name);
            match journal::read(&path) {
                Err(JournalError::Empty) => stories.empty.push(path),
                read => stories.told.push(Told {
                    path,
                    story: read.map(|found| found.story),
                }),
            }
        }
        match stories.blocking() {
            Some((path, error)) => Err(journal::unreadable(path, error)),
            None => Ok(stories),
        }
    }

    /// One that can't be read, and may be unfinished. A publish begins, or is rolled back, when all
    /// others are closed: so that one which another was written after is closed, too. What the last
    /// one has done, the next one has to know.
    fn blocking(&self) -> Option<(&Path, &JournalError)> {
        let written = |told: &Told| -> Option<SystemTime> {
            fs::metadata(&told.path).and_then(|m| m.modified()).ok()
        };
        let times: Vec<Option<SystemTime>> = self.told.iter().map(written).collect();
        let last_written = times.iter().flatten().max();
        let newest = self.told.len().saturating_sub(1);
        let mut unreadable = self.told.iter().zip(&times).enumerate();
        unreadable.find_map(|(index, (told, written))| {
            let error = told.story.as_ref().err()?;
            let ended =
                || written.as_ref() < last_written || journal::is_closed_at_its_end(&told.path);
            (index == newest || !ended()).then_some((told.path.as_path(), error))
        })
    }

    /// The oldest first.
    fn all(&self) -> impl DoubleEndedIterator<Item = &Story> {
        self.told.iter().filter_map(Told::story)
    }

    /// The publish that has not ended; there is one at most.
    pub(super) fn open(&self) -> Option<&Story> {
        self.all().find(|story| !story.closed)
    }

    /// A word about each that can't be read.
    pub(super) fn warnings(&self) -> Vec<Diagnostic> {
        let unreadable = self.told.iter().filter_map(|told| {
            let error = told.story.as_ref().err()?;
            let message = format!("the journal `{}` can't be used", told.path.display());
            let warning = Diagnostic::warning("effect.journal.read", message)
                .concerning(Concern::State)
                .caused_by(error)
                .cause("its publish has ended: it can't be rolled back, nor those before it");
            Some(warning.help("move it away, and keep it if you want to know what it did"))
        });
        unreadable.collect()
    }

    /// The name of a publish: `last` is the last one of which something is there.
    pub(super) fn named<'a>(&'a self, build: &'a str) -> &'a str {
        let last = || self.all().rev().find(|story| there(story).next().is_some());
        match build {
            "last" => last().map_or(build, |story| &story.opened.build),
            name => name,
        }
    }

    /// The publish of this name, if it can be rolled back, and those that came after it.
    pub(super) fn to_roll_back(&self, build: &str) -> Result<(&Story, Vec<&Story>), Diagnostic> {
        let Some(at) = self.told.iter().position(|told| told.is_of(build)) else {
            return Err(self.unknown(build));
        };
        let (before, later) = self.told.split_at(at + 1);
        let story = match before.last().map(|told| (&told.path, &told.story)) {
            Some((_, Ok(story))) => story,
            Some((path, Err(error))) => return Err(journal::unreadable(path, error)),
            None => return Err(self.unknown(build)),
        };
        let mut stories = Vec::new();
        for told in later {
            match &told.story {
                Ok(story) => stories.push(story),
                Err(error) => {
                    let message = format!("nobody knows what was done after build {build}");
                    let problem = journal::unreadable(&told.path, error);
                    return Err(Diagnostic::error("effect.rollback.order", message)
                        .concerning(Concern::State)
                        .cause(problem.message)
                        .caused_by(error)
                        .help("what was published since is to be undone by hand"));
                }
            }
        }
        if stories.iter().filter(|story| did_something(story)).count() >= KEPT {
            let message = format!("build {build} is older than the last {KEPT} that published");
            return Err(Diagnostic::error("effect.rollback.old", message)
                .help("what it left is to be undone by hand"));
        }
        Ok((story, stories))
    }

    fn unknown(&self, build: &str) -> Diagnostic {
        const SHOWN: usize = 5;
        let left = self
            .all()
            .rev()
            .filter(|story| there(story).next().is_some());
        let names = left.map(|story| story.opened.build.as_str());
        let known: Vec<&str> = names.take(SHOWN).collect();
        let problem = Diagnostic::error(
            "effect.rollback.unknown",
            format!("no build `{build}` has published anything"),
        );
        match known.as_slice() {
            [] => problem.help("nothing is published"),
            known => problem.help(format!(
                "what is there was published by {}",
                known.join(", ")
            )),
        }
    }

    /// The last publish that may have left what this one found there already.
    pub(super) fn publisher_of(&self, story: &Story) -> Option<&Story> {
        let of_it: BTreeSet<Key<'_>> = story.opened.effects.iter().map(key).collect();
        let build = &story.opened.build;
        let earlier = self.all().take_while(|one| one.opened.build != *build);
        let found = earlier.filter(|one| there(one).any(|entry| of_it.contains(&key(entry))));
        found.last()
    }

    /// What builds other than this one have applied last, by target and effect: its fingerprint.
    pub(super) fn applied_before(&self, build: &str) -> HashMap<(String, String), String> {
        let mut before = HashMap::new();
        for told in self.told.iter().filter(|told| !told.is_of(build)) {
            let Some(story) = told.story() else {
                // It may have been anything.
                before.clear();
                continue;
            };
            for (entry, standing) in effects(story) {
                let (target, id) = key(entry);
                let key = (target.to_owned(), id.to_owned());
                match standing {
                    // One that can't be undone is there as well as one that was not to be.
                    Standing::Applied(receipt) | Standing::Kept(Some(receipt), _)
                        if !receipt.already_there =>
                    {
                        before.insert(key, entry.fingerprint.clone());
                    }
                    _ if says_nothing(standing) => {}
                    // Nobody knows what is there.
                    _ => {
                        before.remove(&key);
                    }
                }
            }
        }
        before
    }

    /// Removes journals that nobody needs any more. Those of the last publishes stay, so that they can
    /// be rolled back, and those that say last how an effect stands, however old they are.
    pub(super) fn prune(&self) {
        let mut said: BTreeSet<Key<'_>> = BTreeSet::new();
        let mut there_now: BTreeSet<Key<'_>> = BTreeSet::new();
        let (mut seen, mut done) = (0, 0);
        for told in self.told.iter().rev() {
            let Some(story) = told.story() else {
                // Whoever is told of it moves it away.
                continue;
            };
            let does = did_something(story);
            let can_be_rolled_back = done < KEPT;
            let is_recent = seen < KEPT || (does && can_be_rolled_back);
            seen += 1;
            done += usize::from(does);
            let mut says_last = false;
            for (entry, standing) in effects(story) {
                says_last |= !says_nothing(standing) && said.insert(key(entry));
                says_last |= standing.may_be_there() && there_now.insert(key(entry));
            }
            if story.closed && !is_recent && !says_last {
                // One that can't be removed is in nobody's way.
                let _ = fs::remove_file(&told.path);
            }
        }
        for path in &self.empty {
            let _ = fs::remove_file(path);
        }
    }
}

fn key(entry: &Entry) -> Key<'_> {
    (&entry.target, &entry.effect.id)
}

fn effects(story: &Story) -> impl Iterator<Item = (&Entry, &Standing)> {
    story.opened.effects.iter().zip(&story.standings)
}

/// The effects with which a build has changed the world, or may have.
pub(super) fn there(story: &Story) -> impl Iterator<Item = &Entry> {
    let there = effects(story).filter(|(_, standing)| standing.may_be_there());
    there.map(|(entry, _)| entry)
}

/// Whether the build has changed the world, though it may have been undone.
fn did_something(story: &Story) -> bool {
    let mut standings = story.standings.iter();
    standings.any(|standing| standing.may_be_there() || *standing == Standing::Undone)
}

/// That an effect was found there says no more than who put it there.
fn says_nothing(standing: &Standing) -> bool {
    match standing {
        Standing::Applied(receipt) => receipt.already_there,
        Standing::Pending => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
