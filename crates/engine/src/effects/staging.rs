//! Copies of what was proven: made while their digests are compared, so that an effect gets those
//! very bytes or does not begin.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use super::record::{Exported, ExportedFile};
use crate::digest::{copy_and_digest, digest_file};

/// The mode of what others may execute, and of directories that they may read.
pub(crate) const EXECUTABLE: u32 = 0o755;

/// What was proven is not there any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StagingError {
    #[error("`{0}` is not what the build left")]
    Changed(String),
    #[error("`{path}` can't be copied")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
}

/// Copies exports to a directory that is made.
pub(crate) fn copy(from: &Path, to: &Path, exported: &Exported) -> Result<(), StagingError> {
    let failed = |path: &str| {
        let path = path.to_owned();
        move |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StagingError::Changed(path),
            _ => StagingError::Io { path, source },
        }
    };
    fs::create_dir_all(to).map_err(failed(""))?;
    for path in &exported.directories {
        fs::create_dir_all(to.join(path)).map_err(failed(path))?;
    }
    for (path, file) in &exported.files {
        make_parent(&to.join(path)).map_err(failed(path))?;
        if !copy_file(&from.join(path), &to.join(path), file).map_err(failed(path))? {
            return Err(StagingError::Changed(path.clone()));
        }
    }
    for (path, link) in &exported.links {
        let is = fs::read_link(from.join(path)).map_err(|_| StagingError::Changed(path.clone()))?;
        if is != Path::new(link) {
            return Err(StagingError::Changed(path.clone()));
        }
        make_parent(&to.join(path)).map_err(failed(path))?;
        symlink(link, to.join(path)).map_err(failed(path))?;
    }
    Ok(())
}

/// As [`copy`], and on the disk when it comes back.
pub(crate) fn copy_synchronized(
    from: &Path,
    to: &Path,
    exported: &Exported,
) -> Result<(), StagingError> {
    copy(from, to, exported)?;
    each(to, File::sync_all)?;
    let above = to.parent().unwrap_or(to);
    File::open(above)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| StagingError::Io {
            path: above.display().to_string(),
            source,
        })
}

/// As [`copy_synchronized`], with directories that others may read, whatever the user's mask says.
pub(crate) fn copy_readable(from: &Path, to: &Path, exported: &Exported) -> io::Result<()> {
    copy(from, to, exported).map_err(io::Error::other)?;
    let synchronize = |file: &File| {
        if file.metadata()?.is_dir() {
            file.set_permissions(Permissions::from_mode(EXECUTABLE))?;
        }
        file.sync_all()
    };
    each(to, synchronize).map_err(io::Error::other)
}

/// Does something with each file and directory, those that are deeper first.
fn each(directory: &Path, act: impl Fn(&File) -> io::Result<()>) -> Result<(), StagingError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source: io::Error| StagingError::Io { path, source }
    };
    for entry in walkdir::WalkDir::new(directory).contents_first(true) {
        let entry = entry.map_err(io::Error::from).map_err(failed(directory))?;
        if !entry.file_type().is_symlink() {
            let path = entry.path();
            let acted = File::open(path).and_then(|file| act(&file));
            acted.map_err(failed(path))?;
        }
    }
    Ok(())
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Whether the copy is the file that is meant.
fn copy_file(from: &Path, to: &Path, file: &ExportedFile) -> io::Result<bool> {
    const PLAIN: u32 = 0o644;
    let is = fs::symlink_metadata(from)?;
    if !is.is_file() || is.len() != file.digest.size || is_executable(&is) != file.executable {
        return Ok(false);
    }
    let mode = if file.executable { EXECUTABLE } else { PLAIN };
    let mut new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(to)?;
    let digest = copy_and_digest(&mut File::open(from)?, &mut new)?;
    // Whatever the user's mask says: what is published is read by others.
    new.set_permissions(Permissions::from_mode(mode))?;
    Ok(digest == file.digest)
}

fn is_executable(metadata: &fs::Metadata) -> bool {
    metadata.permissions().mode() & 0o111 != 0
}

/// Whether a directory holds the exports as they are, and no other files.
pub(crate) fn holds(directory: &Path, exported: &Exported) -> bool {
    let file_is_there = |(path, file): (&String, &ExportedFile)| {
        let path = directory.join(path);
        let regular = fs::symlink_metadata(&path).is_ok_and(|metadata| {
            metadata.is_file() && is_executable(&metadata) == file.executable
        });
        regular && digest_file(&path).is_ok_and(|digest| digest == file.digest)
    };
    let link_is_there = |(path, link): (&String, &String)| {
        fs::read_link(directory.join(path)).is_ok_and(|is| is == Path::new(link))
    };
    let leaves = walkdir::WalkDir::new(directory)
        .into_iter()
        .filter(|entry| !entry.as_ref().is_ok_and(|entry| entry.file_type().is_dir()));
    directory.is_dir()
        && leaves.count() == exported.files.len() + exported.links.len()
        && exported.files.iter().all(file_is_there)
        && exported.links.iter().all(link_is_there)
}
