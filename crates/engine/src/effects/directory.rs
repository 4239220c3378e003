//! The directory of releases that the engine publishes into: each build's exports below
//! `releases/`, under the digest of their tree, and the link `current` to the last of them,
//! switched by one rename. A release is never changed where it is. Beside each is a note of how it
//! was put there; without one it is not synth's, and is left alone.

use std::fs::{self, File, FileTimes, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, DirectoryPublish, Presence, Receipt};

use super::journal::synchronize_directory;
use super::record::Exported;
use super::staging;
use crate::store;

const RELEASES: &str = "releases";
const CURRENT: &str = "current";

/// Locked by whoever changes the directory, of all that publish into it.
const LOCK: &str = ".synth-lock";

/// The version of [`Switched`].
const RECEIPT_VERSION: u32 = 1;

/// How it was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Switched {
    /// The release that is there now.
    release: String,
    /// What `current` said before; none when it was not there.
    before: Option<String>,
    /// Whether the release was put there, and not there already.
    added: bool,
}

/// What is kept beside a release: its receipt, for a build that died before its journal had it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    build: String,
    receipt: Receipt,
}

/// A directory of releases.
pub(crate) struct Releases<'a> {
    /// The build that publishes.
    build: &'a str,
    directory: PathBuf,
    settings: &'a DirectoryPublish,
    exported: &'a Exported,
}

impl<'a> Releases<'a> {
    pub(crate) fn new(
        build: &'a str,
        root: &Path,
        settings: &'a DirectoryPublish,
        exported: &'a Exported,
    ) -> Self {
        Self {
            build,
            directory: root.join(&settings.directory),
            settings,
            exported,
        }
    }

    /// The release's name: of its bytes, so that the same ones are there once.
    fn name(&self) -> &str {
        let digest = &self.exported.digest;
        digest.get(..16).unwrap_or(digest)
    }

    /// Where it goes: under its name, or under another one where that is taken by something else,
    /// as when somebody has changed it.
    fn free_name(&self) -> String {
        let others = (2..).map(|number| format!("{}-{number}", self.name()));
        let mut names = std::iter::once(self.name().to_owned()).chain(others);
        let is_free = |name: &String| {
            let path = self.release(name);
            path.symlink_metadata().is_err() || self.is_whole(name)
        };
        names.find(is_free).unwrap_or_default()
    }

    fn release(&self, name: &str) -> PathBuf {
        self.directory.join(RELEASES).join(name)
    }

    fn current(&self) -> io::Result<Option<String>> {
        match fs::read_link(self.directory.join(CURRENT)) {
            Ok(link) => Ok(Some(link.to_string_lossy().into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The release of these bytes that is the current one.
    fn is_current(&self) -> io::Result<Option<String>> {
        let Some(current) = self.current()? else {
            return Ok(None);
        };
        let name = current.strip_prefix(RELEASES);
        let name = name.and_then(|name| name.strip_prefix('/'));
        let ours = |name: &&str| {
            let rest = name.strip_prefix(self.name());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) && self.is_whole(name)
        };
        Ok(name.filter(ours).map(ToOwned::to_owned))
    }

    /// Whether these bytes are the current release.
    pub(crate) fn check(&self) -> Result<Presence, Diagnostic> {
        let found = self.is_current().map_err(|error| self.problem(&error))?;
        let Some(name) = found else {
            return Ok(Presence::Absent);
        };
        let receipt = match self.noted(&name) {
            Some(receipt) => receipt,
            // It was so before this build: to undo it changes nothing.
            None => self.receipt(&name, Some(link(&name)), false)?,
        };
        Ok(Presence::Present(receipt))
    }

    fn is_whole(&self, name: &str) -> bool {
        staging::holds(&self.release(name), self.exported)
    }

    /// Puts the release there from a copy of the exports, and switches to it.
    pub(crate) fn apply(&self, from: &Path) -> Result<Receipt, Diagnostic> {
        let problem = |error: io::Error| self.problem(&error);
        make_readable(&self.directory).map_err(problem)?;
        make_readable(&self.directory.join(RELEASES)).map_err(problem)?;
        let _held = self.hold().map_err(problem)?;
        let before = self.current().map_err(problem)?;
        let name = self.free_name();
        let added = !self.release(&name).exists();
        let receipt = self.receipt(&name, before, added)?;
        let done = self
            .note(&name, &receipt)
            .and_then(|()| if added { self.add(&name, from) } else { Ok(()) })
            .and_then(|()| self.switch(&link(&name)));
        match done {
            Ok(()) => Ok(receipt),
            Err(error) => {
                // The switch may have come about all the same.
                if added && !self.leads_to(&name) {
                    let _ = self.forget(&name);
                }
                Err(self.problem(&error))
            }
        }
    }

    /// Copies the exports beside the releases, and moves them in when they are on the disk.
    fn add(&self, name: &str, from: &Path) -> io::Result<()> {
        let releases = self.directory.join(RELEASES);
        let staged = tempfile::Builder::new()
            .prefix(".synth-")
            .tempdir_in(&releases)?;
        let new = staged.path().join(name);
        staging::copy_readable(from, &new, self.exported)?;
        fs::rename(&new, self.release(name))?;
        synchronize_directory(&releases)
    }

    /// Switches the link, which leads to one or the other at every moment.
    fn switch(&self, link: &str) -> io::Result<()> {
        let staged = tempfile::Builder::new()
            .prefix(".synth-")
            .tempdir_in(&self.directory)?;
        let new = staged.path().join(CURRENT);
        std::os::unix::fs::symlink(link, &new)?;
        fs::rename(&new, self.directory.join(CURRENT))?;
        synchronize_directory(&self.directory)?;
        // The oldest are those that have not been current for longest.
        let times = FileTimes::new().set_modified(SystemTime::now());
        let _ = File::open(self.directory.join(link)).and_then(|release| release.set_times(times));
        Ok(())
    }

    fn leads_to(&self, name: &str) -> bool {
        let current = self.current();
        current.map_or(true, |current| current.as_deref() == Some(&link(name)))
    }

    fn note_path(&self, name: &str) -> PathBuf {
        self.directory.join(RELEASES).join(format!(".{name}.json"))
    }

    /// What this build noted.
    fn noted(&self, name: &str) -> Option<Receipt> {
        let note: Note = serde_json::from_slice(&fs::read(self.note_path(name)).ok()?).ok()?;
        (note.build == self.build).then_some(note.receipt)
    }

    fn note(&self, name: &str, receipt: &Receipt) -> io::Result<()> {
        let note = Note {
            build: self.build.to_owned(),
            receipt: receipt.clone(),
        };
        let directory = self.directory.join(RELEASES);
        let mut file = tempfile::NamedTempFile::new_in(&directory)?;
        serde_json::to_writer(&mut file, &note)?;
        file.as_file().sync_all()?;
        file.persist(self.note_path(name))
            .map_err(|error| error.error)?;
        synchronize_directory(&directory)
    }

    /// Of the releases of these bytes, the one that this build has noted.
    fn noted_anywhere(&self) -> Option<Receipt> {
        let others = (2..).map(|number| format!("{}-{number}", self.name()));
        let mut names = std::iter::once(self.name().to_owned())
            .chain(others)
            .take_while(|name| self.note_path(name).exists());
        names.find_map(|name| self.noted(&name))
    }

    /// Switches back to what was before, and removes what was added. A link that leads elsewhere by
    /// now is left as it is.
    pub(crate) fn undo(&self, receipt: Option<&Receipt>) -> Result<(), Diagnostic> {
        if !self.directory.join(RELEASES).is_dir() {
            // Nothing of it was ever made.
            return Ok(());
        }
        let _held = self.hold().map_err(|error| self.problem(&error))?;
        let Some(receipt) = receipt.cloned().or_else(|| self.noted_anywhere()) else {
            // It died before it switched, if it has begun at all.
            return Ok(());
        };
        if receipt.version != RECEIPT_VERSION {
            return Err(Diagnostic::error(
                "effect.receipt",
                format!(
                    "the receipt of `{}` is of version {}, and this synth reads {RECEIPT_VERSION}",
                    self.settings.directory, receipt.version
                ),
            )
            .help("undo it with the synth that published it"));
        }
        let switched: Switched = serde_json::from_value(receipt.data).map_err(|error| {
            Diagnostic::error(
                "effect.receipt",
                format!("the receipt of `{}` is damaged", self.settings.directory),
            )
            .caused_by(&error)
            .help("switch `current` back by hand")
        })?;
        self.switch_back(&switched)
    }

    fn switch_back(&self, switched: &Switched) -> Result<(), Diagnostic> {
        let problem = |error: io::Error| self.problem(&error);
        let release = link(&switched.release);
        let current = self.current().map_err(problem)?;
        if current.as_ref() == Some(&release) && current != switched.before {
            match &switched.before {
                Some(before) if !self.directory.join(before).is_dir() => {
                    return Err(self.pruned(before));
                }
                Some(before) => self.switch(before).map_err(problem)?,
                None => {
                    fs::remove_file(self.directory.join(CURRENT)).map_err(problem)?;
                    synchronize_directory(&self.directory).map_err(problem)?;
                }
            }
        }
        if switched.added && !self.leads_to(&switched.release) {
            self.forget(&switched.release).map_err(problem)?;
        }
        Ok(())
    }

    /// Removes a release and its note.
    fn forget(&self, name: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.release(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match fs::remove_file(self.note_path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the oldest releases that synth has put there, when everything is published; never
    /// the current one, nor the one before it, to which an undo switches back. Those that can't be
    /// removed are in nobody's way.
    pub(crate) fn prune(&self, receipt: &Receipt) {
        let Ok(_held) = self.hold() else { return };
        let switched: Option<Switched> = serde_json::from_value(receipt.data.clone()).ok();
        let stay = [
            self.current().ok().flatten(),
            switched.and_then(|switched| switched.before),
        ];
        let mut releases: Vec<(SystemTime, String)> = Vec::new();
        let entries = fs::read_dir(self.directory.join(RELEASES));
        for entry in entries.into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let metadata = entry.metadata();
            if let Ok(metadata) = metadata.and_then(|metadata| Ok((metadata.modified()?, metadata)))
                && metadata.1.is_dir()
                && self.note_path(&name).is_file()
            {
                releases.push((metadata.0, name));
            }
        }
        releases.sort();
        let keep = usize::try_from(self.settings.keep).unwrap_or(usize::MAX);
        let mut surplus = releases.len().saturating_sub(keep.max(1));
        for (_, name) in releases {
            if surplus == 0 || stay.contains(&Some(link(&name))) {
                continue;
            }
            surplus -= 1;
            let _ = self.forget(&name);
        }
    }

    /// Waits until nobody else changes the directory.
    fn hold(&self) -> io::Result<File> {
        let lock = File::options()
            .append(true)
            .create(true)
            .open(self.directory.join(LOCK))?;
        lock.lock().map(|()| lock)
    }

    fn pruned(&self, before: &str) -> Diagnostic {
        let keep = self.settings.keep;
        Diagnostic::error(
            "publish.pruned",
            format!(
                "`{}` in `{}` is not there any more: `current` can't be switched back to it",
                before,
                self.directory.display()
            ),
        )
        .help(format!(
            "{keep} releases are kept (`keep`): publish what it held again, or switch `current` by hand"
        ))
    }

    fn receipt(
        &self,
        release: &str,
        before: Option<String>,
        added: bool,
    ) -> Result<Receipt, Diagnostic> {
        let switched = Switched {
            release: release.to_owned(),
            before,
            added,
        };
        let data = serde_json::to_value(switched)
            .map_err(|error| Diagnostic::error("internal", "no receipt").caused_by(&error))?;
        Ok(Receipt::new(RECEIPT_VERSION, data))
    }

    fn problem(&self, error: &io::Error) -> Diagnostic {
        let help = store::advice(error).unwrap_or(
            "check that the directory can be written, and that `current` in it is a link",
        );
        Diagnostic::error(
            "publish.directory",
            format!(
                "the releases in `{}` can't be changed",
                self.directory.display()
            ),
        )
        .caused_by(error)
        .help(help)
    }
}

/// What `current` says of a release.
fn link(name: &str) -> String {
    format!("{RELEASES}/{name}")
}

/// Makes a directory that is read by others, whatever the user's mask says; one that is there keeps
/// its mode.
fn make_readable(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, Permissions::from_mode(staging::EXECUTABLE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::record::ExportedFile;

    /// Bytes that are published, and where.
    struct Site {
        root: tempfile::TempDir,
        settings: DirectoryPublish,
    }

    impl Site {
        fn new(keep: u32) -> Self {
            let settings = DirectoryPublish {
                directory: "www".into(),
                keep,
            };
            let root = tempfile::tempdir().unwrap();
            Self { root, settings }
        }

        fn with<T>(&self, text: &str, act: impl FnOnce(&Releases<'_>, &Path) -> T) -> T {
            let from = self.root.path().join("from");
            fs::create_dir_all(&from).unwrap();
            fs::write(from.join("index.html"), text).unwrap();
            let digest = crate::digest::digest_bytes(text.as_bytes());
            let file = ExportedFile {
                digest: digest.clone(),
                executable: false,
            };
            let exported = Exported {
                digest: digest.sha256,
                files: [("index.html".to_owned(), file)].into(),
                ..Exported::default()
            };
            let releases = Releases::new("b", self.root.path(), &self.settings, &exported);
            act(&releases, &from)
        }

        fn publish(&self, text: &str) -> Receipt {
            self.with(text, |releases, from| {
                let receipt = releases.apply(from).unwrap();
                releases.prune(&receipt);
                receipt
            })
        }

        fn undo(&self, text: &str, receipt: Option<&Receipt>) {
            self.with(text, |releases, _| releases.undo(receipt).unwrap());
        }

        fn is_there(&self, text: &str) -> bool {
            let presence = self.with(text, |releases, _| releases.check().unwrap());
            presence != Presence::Absent
        }

        /// What is read through the link, and how many releases there are.
        fn shown(&self) -> (Option<String>, usize) {
            let www = self.root.path().join("www");
            let text = fs::read_to_string(www.join("current/index.html")).ok();
            let releases = fs::read_dir(www.join("releases")).unwrap();
            let visible = releases
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| !name.starts_with('.'));
            (text, visible.count())
        }
    }

    #[test]
    fn it_switches_and_switches_back() {
        let site = Site::new(5);
        assert!(!site.is_there("one"));
        let one = site.publish("one");
        assert!(site.is_there("one"));
        let two = site.publish("two");
        assert_eq!(site.shown(), (Some("two".into()), 2));
        site.undo("two", Some(&two));
        site.undo("two", Some(&two));
        assert_eq!(site.shown(), (Some("one".into()), 1));
        site.undo("one", Some(&one));
        assert_eq!(site.shown(), (None, 0));
    }

    #[test]
    fn without_a_receipt_what_was_noted_beside_the_release_tells_how_it_was() {
        let site = Site::new(5);
        site.publish("one");
        site.publish("two");
        site.undo("two", None);
        assert_eq!(site.shown(), (Some("one".into()), 1));
        site.undo("three", None);
        assert_eq!(site.shown(), (Some("one".into()), 1));
    }

    #[test]
    fn it_keeps_so_many_and_always_the_one_before() {
        for (keep, left) in [(1, 2), (3, 3), (9, 5)] {
            let site = Site::new(keep);
            let mut receipt = None;
            for text in ["1", "2", "3", "4", "5"] {
                receipt = Some(site.publish(text));
            }
            assert_eq!(site.shown(), (Some("5".into()), left), "keep {keep}");
            site.undo("5", receipt.as_ref());
            assert_eq!(site.shown().0, Some("4".into()), "keep {keep}");
        }
    }

    #[test]
    fn a_release_that_was_changed_is_put_there_again() {
        let site = Site::new(5);
        site.publish("one");
        let www = site.root.path().join("www");
        fs::write(www.join("current/index.html"), "changed").unwrap();
        assert!(!site.is_there("one"));
        let again = site.publish("one");
        // What was changed is not touched.
        assert_eq!(site.shown(), (Some("one".into()), 2));
        assert!(site.is_there("one"));
        site.undo("one", Some(&again));
        assert_eq!(site.shown(), (Some("changed".into()), 1));
    }

    #[test]
    fn what_was_pruned_is_not_switched_back_to() {
        let site = Site::new(1);
        let receipts = ["1", "2", "3"].map(|text| site.publish(text));
        site.undo("3", Some(&receipts[2]));
        assert_eq!(site.shown().0, Some("2".into()));
        let problem = site.with("2", |releases, _| releases.undo(Some(&receipts[1])));
        assert_eq!(problem.unwrap_err().code, "publish.pruned");
        assert_eq!(site.shown().0, Some("2".into()));
    }

    #[test]
    fn releases_of_others_are_left_alone() {
        let site = Site::new(1);
        let theirs = site.root.path().join("www/releases/20200101");
        fs::create_dir_all(&theirs).unwrap();
        for text in ["1", "2", "3"] {
            site.publish(text);
        }
        assert!(theirs.is_dir());
        assert_eq!(site.shown(), (Some("3".into()), 3));
    }

    #[test]
    fn a_note_of_another_build_is_not_taken_for_ones_own() {
        let site = Site::new(5);
        site.publish("one");
        site.with("one", |releases, _| {
            let other = Releases {
                build: "other",
                directory: releases.directory.clone(),
                ..*releases
            };
            other.undo(None).unwrap();
            let Presence::Present(receipt) = other.check().unwrap() else {
                unreachable!()
            };
            other.undo(Some(&receipt)).unwrap();
        });
        assert_eq!(site.shown(), (Some("one".into()), 1));
    }

    #[test]
    fn a_directory_in_the_place_of_the_link_is_left_alone() {
        let site = Site::new(5);
        let current = site.root.path().join("www/current");
        fs::create_dir_all(current.join("mine")).unwrap();
        let problem = site.with("one", |releases, from| releases.apply(from).unwrap_err());
        assert_eq!(problem.code, "publish.directory");
        assert!(current.join("mine").is_dir());
    }
}
