//! The directory of releases that the engine publishes into: each build's exports below
//! `releases/`, under the digest of their tree, and the link `current` to the last of them,
//! switched by one rename.

use std::fs;
use std::io;
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

/// A directory of releases.
pub(crate) struct Releases<'a> {
    directory: PathBuf,
    settings: &'a DirectoryPublish,
    exported: &'a Exported,
}

impl<'a> Releases<'a> {
    pub(crate) fn new(root: &Path, settings: &'a DirectoryPublish, exported: &'a Exported) -> Self {
        Self {
            directory: root.join(&settings.directory),
            settings,
            exported,
        }
    }

    /// The release's name: of its bytes, so that the same ones are never there twice.
    fn name(&self) -> &str {
        let digest = &self.exported.digest;
        digest.get(..16).unwrap_or(digest)
    }

    fn release(&self) -> PathBuf {
        self.directory.join(RELEASES).join(self.name())
    }

    /// What `current` is to say.
    fn link(&self) -> String {
        format!("{RELEASES}/{}", self.name())
    }

    fn current(&self) -> io::Result<Option<String>> {
        match fs::read_link(self.directory.join(CURRENT)) {
            Ok(link) => Ok(Some(link.to_string_lossy().into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether these bytes are the current release.
    pub(crate) fn check(&self) -> Result<Presence, Diagnostic> {
        let current = self.current().map_err(|error| self.problem(&error))?;
        if current.as_deref() != Some(&self.link()) || !self.is_whole() {
            return Ok(Presence::Absent);
        }
        let receipt = self.noted().map_or_else(|| self.receipt(None, false), Ok)?;
        Ok(Presence::Present(receipt))
    }

    fn is_whole(&self) -> bool {
        staging::holds(&self.release(), self.exported)
    }

    /// Puts the release there from a copy of the exports, and switches to it.
    pub(crate) fn apply(&self, from: &Path) -> Result<Receipt, Diagnostic> {
        let problem = |error: io::Error| self.problem(&error);
        let before = self.current().map_err(problem)?;
        // What an earlier build noted of the same release is not how it is now.
        let _ = fs::remove_file(self.note_path());
        let added = self.add(from).map_err(problem)?;
        let receipt = self.receipt(before.clone(), added)?;
        // A build that dies here has its link noted beside the release.
        let switched = self.note(&receipt).and_then(|()| self.switch(&self.link()));
        if let Err(error) = switched {
            if added {
                let _ = fs::remove_dir_all(self.release());
            }
            return Err(self.problem(&error));
        }
        // Old releases that can't be removed are in nobody's way.
        let _ = self.prune(before.as_deref());
        Ok(receipt)
    }

    /// Copies the exports beside the releases and moves them in, unless they are there. Tells
    /// whether they were not.
    fn add(&self, from: &Path) -> io::Result<bool> {
        let releases = self.directory.join(RELEASES);
        fs::create_dir_all(&releases)?;
        if self.is_whole() {
            return Ok(false);
        }
        let staged = tempfile::Builder::new()
            .prefix(".synth-")
            .tempdir_in(&releases)?;
        let new = staged.path().join(self.name());
        staging::copy_synchronized(from, &new, self.exported)?;
        let to = self.release();
        if to.symlink_metadata().is_ok() {
            // Somebody has changed it: what is in it is not what its name says.
            fs::rename(&to, staged.path().join("replaced"))?;
        }
        fs::rename(&new, &to)?;
        synchronize_directory(&releases)?;
        Ok(true)
    }

    /// Switches the link, which leads to one or the other at every moment.
    fn switch(&self, link: &str) -> io::Result<()> {
        let staged = tempfile::Builder::new()
            .prefix(".synth-")
            .tempdir_in(&self.directory)?;
        let new = staged.path().join(CURRENT);
        std::os::unix::fs::symlink(link, &new)?;
        fs::rename(&new, self.directory.join(CURRENT))?;
        synchronize_directory(&self.directory)
    }

    /// Where the receipt of a release is kept, for a build that died before its journal had it.
    fn note_path(&self) -> PathBuf {
        self.directory
            .join(RELEASES)
            .join(format!(".{}.json", self.name()))
    }

    fn noted(&self) -> Option<Receipt> {
        serde_json::from_slice(&fs::read(self.note_path()).ok()?).ok()
    }

    fn note(&self, receipt: &Receipt) -> io::Result<()> {
        let path = self.note_path();
        let directory = self.directory.join(RELEASES);
        let mut file = tempfile::NamedTempFile::new_in(&directory)?;
        serde_json::to_writer(&mut file, receipt)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        synchronize_directory(&directory)
    }

    /// Switches back to what was before, and removes what was added. A link that leads elsewhere by
    /// now is left as it is.
    pub(crate) fn undo(&self, receipt: Option<&Receipt>) -> Result<(), Diagnostic> {
        let Some(receipt) = receipt.cloned().or_else(|| self.noted()) else {
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
            .map_err(|error| self.problem(&error))
    }

    fn switch_back(&self, switched: &Switched) -> io::Result<()> {
        let current = self.current()?;
        if current.as_deref() == Some(&self.link()) && current != switched.before {
            match &switched.before {
                Some(before) => self.switch(before)?,
                None => {
                    fs::remove_file(self.directory.join(CURRENT))?;
                    synchronize_directory(&self.directory)?;
                }
            }
        }
        if switched.added && self.current()?.as_deref() != Some(&self.link()) {
            remove(&self.release())?;
        }
        let _ = fs::remove_file(self.note_path());
        Ok(())
    }

    /// Removes the oldest releases; never the current one, nor the one before it, to which an undo
    /// switches back.
    fn prune(&self, before: Option<&str>) -> io::Result<()> {
        let mut releases: Vec<(SystemTime, String)> = Vec::new();
        for entry in fs::read_dir(self.directory.join(RELEASES))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && entry.file_type()?.is_dir() {
                releases.push((entry.metadata()?.modified()?, name));
            }
        }
        releases.sort();
        let keep = usize::try_from(self.settings.keep)
            .unwrap_or(usize::MAX)
            .max(1);
        let mut surplus = releases.len().saturating_sub(keep);
        for (_, name) in releases {
            let stays = name == self.name() || before == Some(&format!("{RELEASES}/{name}"));
            if surplus == 0 || stays {
                continue;
            }
            surplus -= 1;
            let releases = self.directory.join(RELEASES);
            remove(&releases.join(&name))?;
            let _ = fs::remove_file(releases.join(format!(".{name}.json")));
        }
        Ok(())
    }

    fn receipt(&self, before: Option<String>, added: bool) -> Result<Receipt, Diagnostic> {
        let switched = Switched {
            release: self.name().to_owned(),
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

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
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
            let releases = Releases::new(self.root.path(), &self.settings, &exported);
            act(&releases, &from)
        }

        fn publish(&self, text: &str) -> Receipt {
            self.with(text, |releases, from| releases.apply(from).unwrap())
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
        site.publish("one");
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
