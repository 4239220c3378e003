//! What is done to the store as a whole, apart from builds: `synth cache`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use synth_core::{Concern, Diagnostic};

use super::collect::{CacheLimits, Collected};
use super::survey::{CacheStats, Survey};
use super::verify::Verification;
use super::{Store, advice};

/// A store, to be looked after. Builds may run meanwhile.
#[derive(Debug)]
pub struct Cache {
    directory: PathBuf,
    store: Store,
}

impl Cache {
    /// Opens the store in a directory, see [`crate::default_store_directory`].
    ///
    /// # Errors
    /// When it can't be used.
    pub fn open(directory: &Path) -> Result<Self, Diagnostic> {
        let store = Store::open(directory).map_err(|error| unusable(directory, &error))?;
        Ok(Self {
            directory: directory.to_owned(),
            store,
        })
    }

    /// What is in it.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn stats(&self) -> Result<CacheStats, Diagnostic> {
        let survey = self.survey()?;
        Ok(CacheStats::of(&self.directory, &survey, SystemTime::now()))
    }

    /// Compares every blob with its name, and drops action results that can't be used any more.
    ///
    /// # Errors
    /// When it can't be read, or what is damaged can't be moved aside.
    pub fn verify(&self) -> Result<Verification, Diagnostic> {
        let survey = self.survey()?;
        super::verify::verify(&self.store, &survey).map_err(|error| self.failed(&error))
    }

    /// Removes what is beyond the limits, least recently used first; with `dry_run` it only says
    /// what it would remove.
    ///
    /// # Errors
    /// When something can't be read or removed.
    pub fn collect(&self, limits: &CacheLimits, dry_run: bool) -> Result<Collected, Diagnostic> {
        let survey = self.survey()?;
        let now = SystemTime::now();
        super::collect::collect(&self.store, &survey, limits, now, dry_run)
            .map_err(|error| self.failed(&error))
    }

    fn survey(&self) -> Result<Survey, Diagnostic> {
        Survey::of(&self.store.root).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Diagnostic {
        unusable(&self.directory, error)
    }
}

fn unusable(directory: &Path, error: &io::Error) -> Diagnostic {
    let shown = directory.display();
    let problem = Diagnostic::error("state.unusable", format!("`{shown}` can't be used"));
    problem.concerning(Concern::State).caused_by(error).help(
        advice(error).unwrap_or("check that the directory is this user's, and its disk sound"),
    )
}
