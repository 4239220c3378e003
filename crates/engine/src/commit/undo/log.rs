//! The log of steps as bytes: each with its length and a check. A last one that was cut off by the end
//! of its build was not taken, and is no step; anything else that is wrong is refused.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use synth_core::{Concern, Diagnostic};

use super::{LOG, Step, Undo};
use crate::records::{Records, Sort};

/// How much of its digest checks a step.
const CHECK_BYTES: usize = 8;

/// The log while it is written.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    /// Where it ends, when part of a step that could not be written is behind.
    cut: Option<u64>,
    /// Records that were noted: what was in them first is what counts.
    pub(super) noted: BTreeSet<(Sort, String)>,
}

impl Log {
    pub(super) fn new(file: File) -> Self {
        Self {
            file,
            cut: None,
            noted: BTreeSet::new(),
        }
    }

    /// Writes a step, or nothing: what comes behind part of one could not be read.
    pub(super) fn append(&mut self, step: &Step) -> io::Result<()> {
        if let Some(length) = self.cut {
            self.file.set_len(length)?;
            self.cut = None;
        }
        let length = self.file.metadata()?.len();
        let written = self.file.write_all(&encoded(step)?);
        if written.is_err() && self.file.set_len(length).is_err() {
            self.cut = Some(length);
        }
        written
    }

    /// Writes what is in a record, unless that is known.
    pub(super) fn note(&mut self, sort: Sort, name: &str, records: &Records) -> io::Result<()> {
        let key = (sort, name.to_owned());
        if self.noted.contains(&key) {
            return Ok(());
        }
        let step = Step::Record {
            sort,
            name: name.to_owned(),
            before: records.get(sort, name),
        };
        self.append(&step)?;
        self.noted.insert(key);
        Ok(())
    }

    /// Forgets what was written behind some length.
    pub(super) fn cut(&mut self, length: u64) -> io::Result<()> {
        self.noted.clear();
        self.file.set_len(length)
    }

    /// Ends when all that was written is on the disk.
    pub(super) fn synchronize(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

pub(super) fn encoded(step: &Step) -> io::Result<Vec<u8>> {
    let payload = postcard::to_allocvec(step).map_err(io::Error::other)?;
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(Sha256::digest(&payload).iter().take(CHECK_BYTES));
    bytes.extend(payload);
    Ok(bytes)
}

/// The whole steps; none when what is between them is none.
pub(super) fn decoded(mut rest: &[u8]) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>()
        && let Some((check, after)) = after.split_first_chunk::<CHECK_BYTES>()
        && let Ok(length) = usize::try_from(u32::from_le_bytes(*length))
        && let Some((payload, after)) = after.split_at_checked(length)
    {
        if !Sha256::digest(payload).starts_with(check) {
            // Where the power failed, a file may be longer than what has come to the disk of it.
            return rest.iter().all(|byte| *byte == 0).then_some(steps);
        }
        steps.push(postcard::from_bytes(payload).ok()?);
        rest = after;
    }
    Some(steps)
}

impl Undo {
    /// The steps as they were written.
    pub(super) fn steps(&self) -> Result<Vec<Step>, Diagnostic> {
        let path = self.directory.join(LOG);
        let bytes = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
        decoded(&bytes).ok_or_else(|| unreadable(&path, &damaged()))
    }

    /// The length of the log up to the last step after which what is there stays for the moment, and how
    /// many steps there are up to it.
    pub(super) fn settled(steps: &[Step]) -> io::Result<(u64, usize)> {
        let ends = |step: &Step| matches!(step, Step::Effects { .. } | Step::Kept);
        let count = steps.iter().rposition(ends).map_or(0, |last| last + 1);
        let mut length = 0;
        for step in steps.iter().take(count) {
            let bytes = encoded(step)?.len();
            length += u64::try_from(bytes).map_err(io::Error::other)?;
        }
        Ok((length, count))
    }

    /// The name of the effects that began when all was in place, if they did.
    pub(crate) fn effects(&self) -> Result<Option<String>, Diagnostic> {
        let mut steps = self.steps()?.into_iter().rev();
        Ok(steps.find_map(|step| match step {
            Step::Effects { build } => Some(build),
            _ => None,
        }))
    }
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(
        "rollback.log",
        format!("the log `{}` can't be used", path.display()),
    )
    .concerning(Concern::State)
    .caused_by(error)
    .help(
        "it tells how the outputs of before come back after a build that was killed, and they are \
         beside it: bring back by hand what is missed, then remove `.synth/undo`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_could_not_be_written_whole_is_cut_off_before_the_next() {
        let mut file = tempfile::tempfile().unwrap();
        let step = |build: &str| Step::Effects {
            build: build.to_owned(),
        };
        let first = encoded(&step("first")).unwrap();
        file.write_all(&first).unwrap();
        // Part of one, and no way to remove it then.
        file.write_all(&encoded(&step("second")).unwrap()[..9])
            .unwrap();
        let mut log = Log::new(file.try_clone().unwrap());
        log.cut = Some(u64::try_from(first.len()).unwrap());
        use std::io::Seek;
        log.file
            .seek(io::SeekFrom::Start(first.len() as u64))
            .unwrap();
        log.append(&step("third")).unwrap();
        file.seek(io::SeekFrom::Start(0)).unwrap();
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        assert_eq!(decoded(&bytes), Some(vec![step("first"), step("third")]));
    }

    #[test]
    fn a_record_whose_note_could_not_be_written_is_noted_again() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(".synth")).unwrap();
        let records = Records::of(directory.path());
        let path = directory.path().join("log");
        fs::write(&path, "").unwrap();
        // It can't be written through this.
        let mut log = Log::new(File::open(&path).unwrap());
        for _ in 0..2 {
            log.note(Sort::Keys, "a", &records).unwrap_err();
        }
        log.file = File::options().append(true).open(&path).unwrap();
        log.note(Sort::Keys, "a", &records).unwrap();
        assert_eq!(decoded(&fs::read(&path).unwrap()).unwrap().len(), 1);
    }
}
