//! Takes steps back, the last first. Each looks at what is where, and does what is left to do.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use synth_core::{Concern, Diagnostic};

use super::{LOG, Move, Step, Undo, exchange, inode, log};
use crate::commit::in_place::{InPlace, Record as InPlaceRecord};
use crate::commit::record::{self, Written};
use crate::commit::{Record, list};
use crate::index;
use crate::records::Sort;
use crate::store;

impl Undo {
    /// Brings back what was there before, and the records of it. Gives what is to be said of what
    /// could not be found any more.
    ///
    /// # Errors
    /// When it can't be done now, in whole or in part: it can be tried again.
    pub(crate) fn undo(&self) -> Result<Vec<Diagnostic>, Diagnostic> {
        let steps = self.steps()?;
        let lost = self.revert_all(&steps)?;
        self.end(&steps).map_err(|error| not_reverted(&error))?;
        Ok(lost)
    }

    /// The same of what was done since effects have begun, or a build after them was over. None when
    /// that is nothing.
    pub(crate) fn undo_unsettled(&self) -> Result<Option<Vec<Diagnostic>>, Diagnostic> {
        let failed = |error: io::Error| not_reverted(&error);
        let steps = self.steps()?;
        let (length, count) = Self::settled(&steps).map_err(failed)?;
        let unsettled = steps.get(count..).unwrap_or_default();
        if !unsettled.is_empty() {
            let lost = self.revert_all(unsettled)?;
            self.log().cut(length).map_err(failed)?;
            self.remove_asides(unsettled, |_| true);
            return Ok(Some(lost));
        }
        // Of a step that was cut off nothing stays: others are to come behind.
        self.log().cut(length).map_err(failed)?;
        Ok(None)
    }

    fn revert_all(&self, steps: &[Step]) -> Result<Vec<Diagnostic>, Diagnostic> {
        if let Some(problem) = self.not_ours(steps) {
            return Err(problem);
        }
        if let Some(nameless) = self.nameless(&self.steps()?) {
            return Err(is_incomplete(&nameless));
        }
        // What a build saw and left is not what is there then.
        index::forget(&self.root).map_err(|error| not_reverted(&error))?;
        let mut lost = Vec::new();
        for step in steps.iter().rev() {
            let gone = self.revert(step).map_err(|error| not_reverted(&error))?;
            lost.extend(gone.map(|place| is_lost(&place)));
        }
        Ok(lost)
    }

    /// The places of what was put there since then and is there still, and whether that is all of it.
    pub(crate) fn still_in_place(&self) -> Option<(Vec<String>, bool)> {
        let steps = self.steps().ok()?;
        let (_, count) = Self::settled(&steps).ok()?;
        let (mut there, mut all) = (Vec::new(), true);
        for step in steps.into_iter().skip(count) {
            let Step::Move(step) = step else { continue };
            match inode(&self.root.join(&step.place)) {
                Ok(at) if at == step.new && at.is_some() => there.push(step.place),
                Ok(at) => all &= at != step.earlier,
                Err(_) => {}
            }
        }
        Some((there, all))
    }

    /// Takes one step back. Gives the place whose earlier content is gone, if it is.
    pub(super) fn revert(&self, step: &Step) -> io::Result<Option<String>> {
        match step {
            Step::Record { sort, name, before } => {
                self.restore(*sort, name, before.as_deref())?;
                Ok(None)
            }
            Step::Move(step) => self.move_back(step),
            Step::Made { directory } => {
                // It stays where somebody else has put something into it.
                let _ = fs::remove_dir(self.root.join(directory));
                Ok(None)
            }
            Step::Removed { directory, mode } => {
                let path = self.root.join(directory);
                if inode(&path)?.is_none() {
                    fs::create_dir_all(&path)?;
                    fs::set_permissions(&path, Permissions::from_mode(*mode))?;
                }
                Ok(None)
            }
            Step::Effects { .. } | Step::Kept => Ok(None),
        }
    }

    fn move_back(&self, step: &Move) -> io::Result<Option<String>> {
        let (place, aside) = (self.root.join(&step.place), self.root.join(&step.aside));
        let (at, beside) = (inode(&place)?, inode(&aside)?);
        if step.new.is_some() && beside == step.new {
            // It was not taken, or has been taken back.
            return Ok(None);
        }
        if step.earlier.is_none() {
            // What somebody else has put there since is theirs.
            if at.is_some() && at == step.new {
                fs::rename(&place, &aside)?;
            }
            return Ok(None);
        }
        if at == step.earlier {
            return Ok(None);
        }
        if beside != step.earlier {
            return Ok(Some(step.place.clone()));
        }
        match at {
            None => {
                if let Some(parent) = place.parent() {
                    fs::create_dir_all(parent)?;
                }
                fs::rename(&aside, &place)?;
            }
            Some(_) if step.new.is_none() => return Ok(Some(step.place.clone())),
            Some(_) => {
                if !exchange(&aside, &place)? {
                    let away = self.beside(&place);
                    fs::rename(&place, &away)?;
                    fs::rename(&aside, &place)?;
                    // Where it was before, it tells that this step has been taken back.
                    fs::rename(&away, &aside)?;
                }
            }
        }
        Ok(None)
    }

    /// Puts back what was in a record. Files that were moved away and back are as they were but for
    /// the time of their last change, which nothing sets.
    fn restore(&self, sort: Sort, name: &str, before: Option<&[u8]>) -> io::Result<()> {
        let restored = match before {
            None => self.records.remove(sort, name),
            Some(before) if sort == Sort::InPlace => {
                let now = self.as_now(before);
                let value = now.as_deref().unwrap_or(before);
                self.records.put(sort, [(name, value)])
            }
            Some(before) => self.records.put(sort, [(name, before)]),
        };
        restored.map_err(io::Error::other)
    }

    fn as_now(&self, record: &[u8]) -> Option<Vec<u8>> {
        let mut record: InPlaceRecord = serde_json::from_slice(record).ok()?;
        for (path, placed) in &mut record.files {
            if let Ok(now) = Written::of(&self.root.join(path))
                && now.is_same_file(&placed.written)
            {
                placed.written = now;
            }
        }
        serde_json::to_vec(&record).ok()
    }

    /// Why an output directory must not go: somebody has put something into it since, or has made it.
    fn not_ours(&self, steps: &[Step]) -> Option<Diagnostic> {
        let mut in_place = None;
        for step in steps {
            let Step::Move(step) = step else { continue };
            let place = self.root.join(&step.place);
            let at = |path: &Path| inode(path).ok().flatten();
            let Some(there) = at(&place) else { continue };
            let is_new = step.new == Some(there);
            let makes_way = step.earlier.is_some()
                && step.earlier != Some(there)
                && step.earlier == at(&self.root.join(&step.aside));
            let is_directory = fs::symlink_metadata(&place).is_ok_and(|found| found.is_dir());
            if !(step.is_directory && is_directory) || !(is_new || makes_way) {
                continue;
            }
            let in_place = in_place.get_or_insert_with(|| InPlace::load(&self.root));
            if let Some(first) = self.first_foreign(&place, &step.place, in_place) {
                return Some(not_ours(&step.place, &first));
            }
        }
        None
    }

    fn first_foreign(&self, disk: &Path, place: &str, in_place: &InPlace) -> Option<String> {
        let known: Record = record::read(&self.records, Sort::Output, place).unwrap_or_default();
        let present = list(disk).ok()?;
        present.into_iter().find(|path| {
            !known.files.contains_key(path)
                && !known.pending.contains(path)
                && !in_place.is_written(&format!("{place}/{path}"), None)
        })
    }
}

fn is_incomplete(aside: &Path) -> Diagnostic {
    let cause = format!("it does not say where `{}` was", aside.display());
    log::unreadable(
        &aside.with_file_name(LOG),
        &io::Error::new(io::ErrorKind::UnexpectedEof, cause),
    )
}

fn is_lost(place: &str) -> Diagnostic {
    Diagnostic::error(
        "rollback.lost",
        format!("what was at `{place}` before the build is gone, and can't be brought back"),
    )
    .concerning(Concern::State)
    .help("somebody has removed it from `.synth/undo`, or put something else there; build again")
}

fn not_ours(place: &str, first: &str) -> Diagnostic {
    Diagnostic::error(
        "rollback.not_ours",
        format!("`{place}` holds a file that synth did not write: `{first}`"),
    )
    .concerning(Concern::State)
    .cause("a build that was ended in the middle is to be taken back, and the directory with it")
    .help("move the file away, then build again")
}

fn not_reverted(error: &io::Error) -> Diagnostic {
    let help = store::advice(error).unwrap_or("the next build tries again");
    Diagnostic::error("rollback.failed", "the build can't be taken back")
        .concerning(Concern::State)
        .caused_by(error)
        .help(help)
}
