//! The target kinds that a build knows, by the name that `type` uses. Nothing is asked of a kind
//! before a target is of it, except those linked in, which say what they are.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use synth_core::{BuildTarget, Concern, Diagnostic, TargetDescription};

use crate::kind::{Kind, describe};

/// The kinds known.
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<String, Arc<Kind>>,
    /// Of kinds whose very name could not be learnt.
    faults: Vec<Diagnostic>,
    executable: OnceLock<Option<String>>,
}

impl Registry {
    /// No kinds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind that is linked in.
    ///
    /// Of two kinds of one name neither can be used, which the targets of that name are told:
    /// what is to be replaced is taken away first, see [`Registry::without`].
    #[must_use]
    pub fn with(mut self, target: Arc<dyn BuildTarget>) -> Self {
        match describe(target.as_ref()) {
            Ok(description) => {
                let identity = self.executable.get_or_init(executable_identity).clone();
                self.add(Kind::new(target, description, identity));
            }
            Err(problem) => self.faults.push(problem),
        }
        self
    }

    /// Adds a kind by a description that is known without asking it: nothing of it is called
    /// before a target of it is. `identity` tells its code from that of any other version; the
    /// SHA-256 of its library does.
    ///
    /// Two of one name are treated as [`Registry::with`] says.
    #[must_use]
    pub fn with_described(
        mut self,
        target: Arc<dyn BuildTarget>,
        description: TargetDescription,
        identity: String,
    ) -> Self {
        self.add(Kind::new(target, description, Some(identity)));
        self
    }

    /// Adds a kind that can't be used, in place of whatever had that name: its targets may have any
    /// settings, and each of them has `problem`. Pipelines without such a target are not concerned.
    #[must_use]
    pub fn with_broken(mut self, kind: impl Into<String>, problem: Diagnostic) -> Self {
        let kind = kind.into();
        let broken = Kind::broken(kind.clone(), problem);
        self.kinds.insert(kind, Arc::new(broken));
        self
    }

    /// Takes a kind away.
    #[must_use]
    pub fn without(mut self, kind: &str) -> Self {
        self.kinds.remove(kind);
        self
    }

    /// Whether there is a kind of that name.
    #[must_use]
    pub fn contains(&self, kind: &str) -> bool {
        self.kinds.contains_key(kind)
    }

    /// The names, sorted.
    #[must_use]
    pub fn kinds(&self) -> Vec<&str> {
        self.kinds.keys().map(String::as_str).collect()
    }

    /// What the kinds say of themselves, sorted by name.
    pub fn descriptions(&self) -> impl Iterator<Item = &TargetDescription> {
        self.kinds.values().map(|kind| kind.description())
    }

    /// What a kind says of itself.
    #[must_use]
    pub fn description(&self, kind: &str) -> Option<&TargetDescription> {
        self.kinds.get(kind).map(|kind| kind.description())
    }

    /// A kind.
    #[must_use]
    pub fn kind(&self, kind: &str) -> Option<&Arc<Kind>> {
        self.kinds.get(kind)
    }

    /// What is wrong with kinds that are not here because their name could not be learnt.
    #[must_use]
    pub fn faults(&self) -> &[Diagnostic] {
        &self.faults
    }

    fn add(&mut self, kind: Kind) {
        let name = kind.description().kind.clone();
        let kind = match self.kinds.get(&name) {
            None => kind,
            Some(other) => Kind::broken(name.clone(), two_of_one_name(&name, other, &kind)),
        };
        self.kinds.insert(name, Arc::new(kind));
    }
}

fn two_of_one_name(name: &str, first: &Kind, second: &Kind) -> Diagnostic {
    let of = |kind: &Kind| {
        let description = kind.description();
        format!("{} {}", description.crate_name, description.version)
    };
    match first.problem() {
        // It can't be used anyway.
        Some(problem) => problem.clone(),
        None => {
            let (first, second) = (of(first), of(second));
            let message =
                format!("there are two target kinds `{name}`: of {first}, and of {second}");
            Diagnostic::error("internal.kind.duplicate", message)
                .concerning(Concern::Internal)
                .help("this program knows both: it has to take one away")
        }
    }
}

/// Tells the running program from any other version of it, and with it the kinds linked into it.
pub(crate) fn executable_identity() -> Option<String> {
    // Right even when the file was replaced since; where there is no `/proc`, its path must do.
    let running = std::fs::metadata(Path::new("/proc/self/exe"));
    let metadata = running
        .or_else(|_| std::fs::metadata(std::env::current_exe()?))
        .ok()?;
    Some(format!(
        "linked {}:{} {} {}.{:09}",
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec()
    ))
}
