//! The directories that actions run in: one for each build below the store, locked while the
//! build lives, and cleared away by the next build when it died.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

/// The directory of one build's actions. Removed when dropped.
#[derive(Debug)]
pub(crate) struct WorkDirectory {
    path: PathBuf,
    /// How many directories there have been.
    count: AtomicU64,
    /// Those that the next action may have.
    spare: Mutex<Vec<ActionDirectory>>,
    /// Held as long as the build lives.
    _lock: File,
}

/// The directory that holds those of an action. To be removed by [`remove_tree`], or taken back.
#[derive(Clone, Debug)]
pub(crate) struct ActionDirectory {
    pub(crate) path: PathBuf,
    /// What it and those in it are like as long as nothing has been done to them.
    made: Looks,
}

/// The directories in an action's that are there from the start.
pub(crate) const HOME: &str = "home";
pub(crate) const TEMPORARY: &str = "tmp";

/// What can be told of an empty directory, but for times.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Looks {
    mode: u32,
    owner: u32,
    group: u32,
    /// The names of its extended attributes.
    attributes: Vec<u8>,
}

impl ActionDirectory {
    fn make(path: PathBuf) -> io::Result<Self> {
        let made = || -> io::Result<Looks> {
            fs::create_dir(&path)?;
            for name in [HOME, TEMPORARY] {
                fs::create_dir(path.join(name))?;
            }
            Looks::of(&path)
        };
        match made() {
            Ok(made) => Ok(Self { path, made }),
            Err(error) => {
                remove_tree(&path);
                Err(error)
            }
        }
    }

    /// Whether there is no trace of an action in it. What can't be read is one.
    fn is_as_made(&self) -> bool {
        let untouched = |path: &Path| Looks::of(path).is_ok_and(|looks| looks == self.made);
        let names = |path: &Path| -> io::Result<BTreeSet<OsString>> {
            let entries = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name()));
            entries.collect()
        };
        let ours: BTreeSet<OsString> = [HOME, TEMPORARY].map(OsString::from).into();
        untouched(&self.path)
            && names(&self.path).is_ok_and(|names| names == ours)
            && ours.iter().all(|name| {
                let path = self.path.join(name);
                untouched(&path) && names(&path).is_ok_and(|names| names.is_empty())
            })
    }
}

impl Looks {
    fn of(path: &Path) -> io::Result<Self> {
        const MOST_BYTES: usize = 1024;
        let metadata = fs::symlink_metadata(path)?;
        let mut attributes = vec![0; MOST_BYTES];
        let length = rustix::fs::llistxattr(path, &mut attributes[..])?;
        attributes.truncate(length);
        Ok(Self {
            mode: metadata.mode(),
            owner: metadata.uid(),
            group: metadata.gid(),
            attributes,
        })
    }
}

/// The name of a lock: that of a build's directory, held while it lives, and that of all.
pub(crate) const LOCK_NAME: &str = "lock";

impl WorkDirectory {
    /// Makes one below `parent`, and clears away those of builds that died.
    pub(crate) fn create(parent: &Path) -> io::Result<Self> {
        // Between its making and its lock a directory looks abandoned: one build at a time.
        let gate = File::create(parent.join(LOCK_NAME))?;
        flock(&gate, FlockOperation::LockExclusive)?;
        clear_abandoned(parent);
        let path = tempfile::Builder::new()
            .prefix("build-")
            .tempdir_in(parent)?
            .keep();
        let lock = File::create(path.join(LOCK_NAME))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self {
            path,
            count: AtomicU64::default(),
            spare: Mutex::default(),
            _lock: lock,
        })
    }

    /// A directory for an action: a new one, or one in which another has left nothing.
    pub(crate) fn make(&self) -> io::Result<ActionDirectory> {
        let spare = self.spare().pop();
        if let Some(spare) = spare {
            return Ok(spare);
        }
        let name = self.count.fetch_add(1, Ordering::Relaxed).to_string();
        ActionDirectory::make(self.path.join(name))
    }

    /// Takes back the directory of an action of which no process is left.
    pub(crate) fn take_back(&self, directory: ActionDirectory) {
        if directory.is_as_made() {
            self.spare().push(directory);
        } else {
            remove_tree(&directory.path);
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<ActionDirectory>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        remove_tree(&self.path);
    }
}

fn clear_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let abandoned = match File::open(path.join(LOCK_NAME)) {
            Ok(lock) => flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if abandoned {
            remove_tree(&path);
        }
    }
}

/// When the oldest build began that is still running; none when there is none. To be asked while
/// the lock of the directory is held.
pub(crate) fn running_since(parent: &Path) -> io::Result<Option<SystemTime>> {
    let mut oldest: Option<SystemTime> = None;
    for entry in fs::read_dir(parent)? {
        let Ok(lock) = File::open(entry?.path().join(LOCK_NAME)) else {
            continue;
        };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let began = lock.metadata()?.modified()?;
            oldest = Some(oldest.map_or(began, |oldest| oldest.min(began)));
        }
    }
    Ok(oldest)
}

/// Removes a directory with everything below it, directories that are protected against writing
/// too. What can't be removed now is cleared away by the next build.
pub(crate) fn remove_tree(path: &Path) {
    while fs::remove_dir_all(path).is_err() {
        // What is below a directory can be opened up when the directory has been.
        if !open_up(path) {
            return;
        }
    }
}

/// Lets the user into directories, as far as they are found. Tells whether there is a new one.
fn open_up(path: &Path) -> bool {
    const OURS: u32 = 0o700;
    let mut opened = false;
    for entry in walkdir::WalkDir::new(path).into_iter().flatten() {
        let is_closed = |metadata: fs::Metadata| metadata.mode() & OURS != OURS;
        if entry.file_type().is_dir() && entry.metadata().is_ok_and(is_closed) {
            opened |= fs::set_permissions(entry.path(), Permissions::from_mode(OURS)).is_ok();
        }
    }
    opened
}

#[cfg(test)]
mod tests {
    use rustix::fs::XattrFlags;

    use super::*;

    type Leave<'a> = &'a dyn Fn(&Path);

    #[test]
    fn a_directory_is_used_again_when_nothing_was_left_in_it() {
        let parent = tempfile::tempdir().unwrap();
        let work = WorkDirectory::create(parent.path()).unwrap();
        let attribute = |path: &Path| {
            rustix::fs::lsetxattr(path, "user.mark", b"1", XattrFlags::empty()).unwrap();
        };
        let mode = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o711)).unwrap();
        let traces: [(&str, Leave<'_>); 7] = [
            ("", &|path| fs::write(path.join("left"), "x").unwrap()),
            ("", &|path| fs::remove_dir(path.join(HOME)).unwrap()),
            ("", &mode),
            ("home", &|path| fs::create_dir(path.join("left")).unwrap()),
            ("home", &attribute),
            ("tmp", &mode),
            ("tmp", &|path| {
                fs::remove_dir(path).unwrap();
                std::os::unix::fs::symlink("/", path).unwrap();
            }),
        ];
        let mut directory = work.make().unwrap();
        for (below, leave) in traces {
            let path = directory.path.clone();
            work.take_back(directory);
            directory = work.make().unwrap();
            assert_eq!(directory.path, path);
            leave(&path.join(below));
            work.take_back(directory);
            assert!(!path.exists());
            directory = work.make().unwrap();
            assert_ne!(directory.path, path);
        }
    }

    #[test]
    fn builds_that_died_are_cleared_away_and_those_that_live_are_not() {
        let parent = tempfile::tempdir().unwrap();
        let living = WorkDirectory::create(parent.path()).unwrap();
        let dead = parent.path().join("build-dead");
        fs::create_dir_all(dead.join("protected/below/deeper")).unwrap();
        for path in ["protected/below", "protected"] {
            fs::set_permissions(dead.join(path), Permissions::from_mode(0o000)).unwrap();
        }
        let second = WorkDirectory::create(parent.path()).unwrap();
        assert!(!dead.exists());
        assert!(living.path.exists() && second.path.exists());
        let path = living.path.clone();
        drop(living);
        assert!(!path.exists());
    }
}
