//! What a target has left, as the index keeps it: each file as it was written, and nothing else in
//! a directory of the target's own.

use std::fs;
use std::path::{Path, PathBuf};

use synth_core::TargetSpec;

use super::Outputs;
use super::record::Written;
use crate::index::fact::Seen;
use crate::index::stamp::{Stamp, file_clock};

/// Paths with what is there.
type Left = Vec<(PathBuf, Seen<'static>)>;

impl Outputs {
    /// What a target has left, as it is now; none when it is not as it was written.
    pub(crate) fn left(&self, target: &TargetSpec, in_place: bool) -> Option<Left> {
        if in_place {
            self.left_in_place(&target.name)
        } else {
            self.left_in_directory(target)
        }
    }

    /// What is not any more as a target left it, a sentence each.
    pub(crate) fn changes(&self, target: &TargetSpec, in_place: bool) -> Vec<String> {
        let files: Vec<(String, Written)> = if in_place {
            let record = self.in_place.record(&target.name);
            let files = record.files.into_iter();
            files.map(|(path, placed)| (path, placed.written)).collect()
        } else {
            let record = self.record(&target.output_path);
            let below = |path| format!("{}/{path}", target.output_path);
            let files = record.files.into_iter();
            files
                .map(|(path, written)| (below(path), written))
                .collect()
        };
        let changes = files.into_iter().filter_map(|(path, written)| {
            match fs::symlink_metadata(self.root.join(&path)) {
                Ok(metadata) if Written::of_metadata(&metadata) == written => None,
                Ok(_) => Some(format!("the output `{path}` was changed")),
                Err(_) => Some(format!("the output `{path}` is gone")),
            }
        });
        changes.collect()
    }

    fn left_in_place(&self, target: &str) -> Option<Left> {
        let record = self.in_place.record(target);
        if !record.pending.is_empty() {
            return None;
        }
        let files = record.files.iter().map(|(path, placed)| {
            let path = self.root.join(path);
            let seen = seen_as(&path, &placed.written)?;
            Some((path, seen))
        });
        files.collect()
    }

    fn left_in_directory(&self, target: &TargetSpec) -> Option<Left> {
        let record = self.record(&target.output_path);
        if !record.pending.is_empty() {
            return None;
        }
        let directory = self.directory(&target.output_path);
        let mut left = Vec::new();
        let mut files = 0;
        for entry in walkdir::WalkDir::new(&directory) {
            let entry = entry.ok()?;
            let path = entry.path().to_owned();
            if entry.file_type().is_dir() {
                let looked = file_clock();
                let stamp = Stamp::followed(&path).ok()?;
                left.push((path, Seen::Listed(stamp.if_settled(looked))));
                continue;
            }
            let relative = path.strip_prefix(&directory).ok()?.to_str()?;
            let seen = seen_as(&path, record.files.get(relative)?)?;
            left.push((path, seen));
            files += 1;
        }
        (files == record.files.len()).then_some(left)
    }
}

/// A file that is as it was written; none when it is not.
fn seen_as(path: &Path, written: &Written) -> Option<Seen<'static>> {
    let looked = file_clock();
    let metadata = fs::symlink_metadata(path).ok()?;
    (Written::of_metadata(&metadata) == *written)
        .then(|| Seen::Stamped(Stamp::of(&metadata).if_settled(looked)))
}
