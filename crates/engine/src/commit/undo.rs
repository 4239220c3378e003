//! What a build puts in place, in a way that can be taken back: each step is written to
//! `.synth/undo/log` before it is taken, and what was there before is moved aside and not copied.
//! Whether a step was taken shows in what is where, so that steps may be taken back again and again:
//! a build that is killed in the middle, of this or of taking back, leaves the rest to the next one.
//! The log is on the disk before the first of what is announced is moved, and when effects begin; what
//! is written to it between is not synchronized, as the records are not.

mod asides;
mod log;
mod revert;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use synth_core::{Concern, Diagnostic};

use super::staging_prefix;
use crate::records::{Records, Sort};
use crate::store;
use crate::work::remove_tree;
pub(super) use asides::asides_elsewhere;
use log::Log;

/// The name of the log.
const LOG: &str = "log";

/// What begins the names of what was there before and is only taken away. Nothing new has such a name.
const TAKEN: &str = "taken-";

/// A step. Paths are relative to the project's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    /// A record is written, or removed. That was in it.
    Record {
        sort: Sort,
        name: String,
        before: Option<Vec<u8>>,
    },
    /// What is at `aside` goes to `place`, and what is there goes to `aside`. Either may be nothing.
    Move(Move),
    /// A directory is made.
    Made { directory: String },
    /// An empty directory is removed.
    Removed { directory: String, mode: u32 },
    /// All is in place, and effects of this name begin.
    Effects { build: String },
    /// What a later build has put in place, while nobody knew what becomes of these effects, stays as
    /// long as theirs does.
    Kept,
}

/// What is exchanged, each told by its inode: a device has another number each time the machine
/// starts, and renaming leaves nothing on another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Move {
    place: String,
    aside: String,
    earlier: Option<u64>,
    new: Option<u64>,
    /// Whether it is a whole output directory.
    is_directory: bool,
}

/// Steps that can be taken back.
#[derive(Debug)]
pub(crate) struct Undo {
    root: PathBuf,
    directory: PathBuf,
    records: Arc<Records>,
    log: Mutex<Log>,
    names: AtomicU64,
}

/// Where steps are kept.
fn directory(root: &Path) -> PathBuf {
    root.join(".synth/undo")
}

/// Whether there are steps that may have to be taken back.
pub(crate) fn is_left(root: &Path) -> bool {
    directory(root).join(LOG).exists()
}

/// Removes what is there without a log: it was over, and not yet removed.
pub(crate) fn clear(root: &Path) {
    let directory = directory(root);
    if directory.exists() {
        remove_tree(&directory);
    }
}

impl Undo {
    /// Begins a log. There is none yet.
    pub(crate) fn begin(root: &Path) -> io::Result<Self> {
        let directory = directory(root);
        if is_left(root) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        clear(root);
        fs::create_dir_all(&directory)?;
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(directory.join(LOG))?;
        Ok(Self::of(root, file, 0))
    }

    /// The steps of a build that has died, if there are any.
    pub(crate) fn left(root: &Path) -> Result<Option<Self>, Diagnostic> {
        let path = directory(root).join(LOG);
        match OpenOptions::new().append(true).open(&path) {
            Ok(file) => Ok(Some(Self::of(root, file, asides::next_name(root)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(log::unreadable(&path, &error)),
        }
    }

    fn of(root: &Path, file: File, next_name: u64) -> Self {
        Self {
            root: root.to_owned(),
            directory: directory(root),
            records: Records::of(root),
            log: Mutex::new(Log::new(file)),
            names: AtomicU64::new(next_name),
        }
    }

    /// Where outputs are written before they are moved in, and what was there before goes.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A name for something aside, new in this build.
    pub(super) fn name(&self) -> String {
        self.names.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// A new directory that can be moved to a place by renaming: beside the place where it has to
    /// be.
    pub(super) fn directory_for(&self, place: &Path) -> io::Result<PathBuf> {
        let parent = place.parent().unwrap_or(&self.root);
        self.make_directories(parent)?;
        let beside = tempfile::Builder::new()
            .prefix(&staging_prefix(place))
            .tempdir_in(parent)?;
        let aside = self.directory.join(self.name());
        match fs::rename(beside.path(), &aside) {
            Ok(()) => {
                // It has another name, under which nothing removes it.
                let _ = beside.keep();
                Ok(aside)
            }
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => Ok(beside.keep()),
            Err(error) => Err(error),
        }
    }

    /// To be called before a record is written.
    pub(crate) fn note(&self, sort: Sort, name: &str) -> io::Result<()> {
        self.log().note(sort, name, &self.records)
    }

    /// To be called before the first of several things is moved to its place: then the log tells of each
    /// of them, whatever of it is lost when the power fails.
    pub(super) fn announce<'a>(
        &self,
        moves: impl IntoIterator<Item = (&'a Path, PathBuf)>,
    ) -> io::Result<()> {
        for (new, place) in moves {
            self.write_move(new, &place)?;
        }
        self.log().synchronize()?;
        for directory in [Some(self.directory.as_path()), self.directory.parent()] {
            directory.map_or(Ok(()), synchronize_directory)?;
        }
        Ok(())
    }

    /// Takes note that everything is in place, and which effects begin.
    pub(crate) fn note_effects(&self, build: &str) -> io::Result<()> {
        let mut log = self.log();
        log.append(&Step::Effects {
            build: build.to_owned(),
        })?;
        log.synchronize()
    }

    /// What was put in place since effects have begun stays as long as what they are for.
    pub(crate) fn stay(&self) -> io::Result<()> {
        let mut log = self.log();
        log.append(&Step::Kept)?;
        log.noted.clear();
        Ok(())
    }

    /// Moves something to its place, in exchange for what is there.
    pub(super) fn put(&self, new: &Path, place: &Path) -> io::Result<()> {
        let step = self.write_move(new, place)?;
        match step.earlier {
            None => fs::rename(new, place),
            Some(_) if exchange(new, place)? => Ok(()),
            // Not every file system can exchange: then there is a moment without.
            Some(_) => {
                self.take(place)?;
                self.write_move(new, place)?;
                fs::rename(new, place)
            }
        }
    }

    /// Moves aside what is at a place.
    pub(super) fn take(&self, place: &Path) -> io::Result<()> {
        let aside = self.directory.join(format!("{TAKEN}{}", self.name()));
        self.write_move(&aside, place)?;
        match fs::rename(place, &aside) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let aside = self.beside(place);
                self.write_move(&aside, place)?;
                fs::rename(place, &aside)
            }
            result => result,
        }
    }

    /// A name beside a place, which is no source.
    fn beside(&self, place: &Path) -> PathBuf {
        let name = format!("{}undo-{}", staging_prefix(place), self.name());
        place.with_file_name(name)
    }

    fn write_move(&self, aside: &Path, place: &Path) -> io::Result<Move> {
        let is_directory = |path| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
        let step = Move {
            place: self.relative(place)?,
            aside: self.relative(aside)?,
            earlier: inode(place)?,
            new: inode(aside)?,
            is_directory: is_directory(place) || is_directory(aside),
        };
        self.write(&Step::Move(step.clone()))?;
        Ok(step)
    }

    /// Makes a directory, and those above it that are missing.
    pub(super) fn make_directories(&self, directory: &Path) -> io::Result<()> {
        if directory.is_dir() {
            return Ok(());
        }
        if let Some(parent) = directory.parent() {
            self.make_directories(parent)?;
        }
        self.write(&Step::Made {
            directory: self.relative(directory)?,
        })?;
        match fs::create_dir(directory) {
            // Another target has made it meanwhile.
            Err(_) if directory.is_dir() => Ok(()),
            made => made,
        }
    }

    /// Removes a directory, if it is empty.
    pub(super) fn remove_directory(&self, directory: &Path) -> io::Result<()> {
        let metadata = fs::symlink_metadata(directory)?;
        self.write(&Step::Removed {
            directory: self.relative(directory)?,
            mode: metadata.permissions().mode(),
        })?;
        fs::remove_dir(directory)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, step: &Step) -> io::Result<()> {
        self.log().append(step)
    }

    fn relative(&self, path: &Path) -> io::Result<String> {
        let relative = path.strip_prefix(&self.root).ok().and_then(Path::to_str);
        let relative = relative.ok_or_else(|| {
            let message = format!("`{}` is no path of the project", path.display());
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
        Ok(relative.to_owned())
    }
}

/// That names which were made in a directory are on the disk, where its file system can do that.
fn synchronize_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synchronized => synchronized,
    }
}

/// Exchanges two names; false where the file system can't.
fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    use rustix::io::Errno;
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What has a name; none when nothing has.
fn inode(path: &Path) -> io::Result<Option<u64>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata.ino())),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Why nothing is put in place.
pub(crate) fn not_begun(error: &io::Error) -> Diagnostic {
    let help = store::advice(error).unwrap_or("check that `.synth` can be written");
    Diagnostic::error(
        "rollback.log",
        "no outputs are put in place: what was there before could not be kept",
    )
    .concerning(Concern::State)
    .caused_by(error)
    .help(help)
}
