//! What a build puts in place, in a way that can be taken back: each step is written to
//! `.synth/undo/log` before it is taken, and what was there before is moved aside and not copied.
//! Whether a step was taken shows in what is where, so that steps may be taken back again and again:
//! a build that is killed in the middle, of this or of taking back, leaves the rest to the next one.
//! As the records, the log is not synchronized with the disk.

mod log;
mod revert;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use synth_core::Diagnostic;

use super::{is_staging, staging_prefix};
use crate::records::{Records, Sort};
use crate::work::remove_tree;

/// The name of the log.
const LOG: &str = "log";

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

#[derive(Debug)]
struct Log {
    file: File,
    /// Records that were noted: what was in them first is what counts.
    noted: BTreeSet<(Sort, String)>,
}

/// Where steps are kept.
fn directory(root: &Path) -> PathBuf {
    root.join(".synth/undo")
}

/// Whether there are steps that may have to be taken back.
pub(crate) fn is_left(root: &Path) -> bool {
    directory(root).join(LOG).exists()
}

impl Undo {
    /// Begins a log. There is none yet.
    pub(crate) fn begin(root: &Path) -> io::Result<Self> {
        let directory = directory(root);
        if is_left(root) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // Without a log, nobody asks for what is there.
        remove_tree(&directory);
        fs::create_dir_all(&directory)?;
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(directory.join(LOG))?;
        Ok(Self::of(root, file))
    }

    /// The steps of a build that has died, if there are any.
    pub(crate) fn left(root: &Path) -> Result<Option<Self>, Diagnostic> {
        let path = directory(root).join(LOG);
        match OpenOptions::new().append(true).open(&path) {
            Ok(file) => Ok(Some(Self::of(root, file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(log::unreadable(&path, &error)),
        }
    }

    fn of(root: &Path, file: File) -> Self {
        Self {
            root: root.to_owned(),
            directory: directory(root),
            records: Records::of(root),
            log: Mutex::new(Log {
                file,
                noted: BTreeSet::new(),
            }),
            names: AtomicU64::default(),
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
        let mut log = self.log();
        if !log.noted.insert((sort, name.to_owned())) {
            return Ok(());
        }
        let step = Step::Record {
            sort,
            name: name.to_owned(),
            before: self.records.get(sort, name),
        };
        append(&mut log.file, &step)
    }

    /// Takes note that everything is in place, and which effects begin.
    pub(crate) fn note_effects(&self, build: &str) -> io::Result<()> {
        self.write(&Step::Effects {
            build: build.to_owned(),
        })
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
        let aside = self.directory.join(self.name());
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
        fs::create_dir(directory)
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

    /// What was put in place stays; what was there before is removed.
    pub(crate) fn keep(&self) -> io::Result<()> {
        let aside = self.steps().map(|steps| self.asides_elsewhere(&steps));
        self.end(&aside.unwrap_or_default())
    }

    /// Without the log it is over, whatever is left of the rest.
    fn end(&self, elsewhere: &[PathBuf]) -> io::Result<()> {
        match fs::remove_file(self.directory.join(LOG)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for aside in elsewhere {
            remove(aside);
            // It may be all that was in a directory that was made for it.
            let parent = aside.parent();
            if let Some((parent, name)) =
                parent.and_then(|parent| Some((parent, parent.file_name()?)))
                && is_staging(&name.to_string_lossy())
            {
                remove_tree(parent);
            }
        }
        remove_tree(&self.directory);
        Ok(())
    }

    /// What is aside and not in the directory for it.
    fn asides_elsewhere(&self, steps: &[Step]) -> Vec<PathBuf> {
        let moves = steps.iter().filter_map(|step| match step {
            Step::Move(step) => Some(self.root.join(&step.aside)),
            _ => None,
        });
        moves
            .filter(|aside| !aside.starts_with(&self.directory))
            .collect()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, step: &Step) -> io::Result<()> {
        append(&mut self.log().file, step)
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

fn append(file: &mut File, step: &Step) -> io::Result<()> {
    file.write_all(&log::encoded(step)?)
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

/// Removes a file or a directory; what stays is in nobody's way.
fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => remove_tree(path),
        Ok(_) => {
            let _ = fs::remove_file(path);
        }
        Err(_) => {}
    }
}
