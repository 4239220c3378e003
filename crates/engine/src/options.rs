//! How a build is to be done, as whoever starts it says, and what follows for the number of jobs.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::{Pipeline, SandboxMode};
use crate::event::Observer;
use crate::index::{Earlier, Watched};
use crate::jobserver::Outer;
use crate::machine::Machine;
use crate::plugin::HostProgram;
use crate::transaction::Transaction;

/// How a build is to be done.
#[derive(Clone)]
pub struct BuildOptions {
    /// How many actions run at once; none for as many as there are processors.
    pub jobs: Option<NonZeroUsize>,
    /// What actions may use together, in bytes of memory; none for what the machine has left.
    pub memory: Option<u64>,
    /// Where the machine tells what it has, and how hard it is pressed.
    pub machine: Machine,
    /// The value of `MAKEFLAGS`, by which synth finds the jobserver of a make that runs it. Not looked
    /// at where `jobs` says something else.
    pub make_flags: Option<OsString>,
    /// Whether results and plans of earlier builds are used, and those of this one kept for later
    /// ones.
    pub use_cache: bool,
    /// Targets whose actions are executed, whether their results are known or not. They are kept.
    pub force: Vec<String>,
    /// Whether every action is executed once more, and has to leave the same.
    pub verify_reproducible: bool,
    /// Whether the directory of an action that fails is kept, below `.synth/kept`.
    pub keep_failed: bool,
    /// What the build belongs to, which is to be kept or taken back by whoever made it; none where its
    /// outputs stay when they are in place.
    pub transaction: Option<Arc<Transaction>>,
    /// The store's directory; none for the user's own, see [`default_store_directory`].
    pub store: Option<PathBuf>,
    /// How actions are kept to what they declare; none for what the pipeline says.
    pub sandbox: Option<SandboxMode>,
    /// The program that is the host of the sandbox, see [`sandbox::serve`](crate::sandbox::serve);
    /// without one there is none.
    pub sandbox_host: Option<HostProgram>,
    /// Ends the build when it is cancelled: processes are asked to end, and given a moment.
    pub cancel: CancellationToken,
    /// Ends processes at once when it is cancelled, after `cancel`.
    pub kill: CancellationToken,
    /// Is told what happens.
    pub observer: Arc<dyn Observer>,
    /// What an earlier build of the same request left behind, which this one continues and
    /// replaces; none to look at everything, and leave nothing behind.
    pub earlier: Option<Arc<Earlier>>,
    /// What was read to know the pipeline and its kinds.
    pub watched: Watched,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            jobs: None,
            memory: None,
            machine: Machine::default(),
            make_flags: None,
            use_cache: true,
            force: Vec::new(),
            verify_reproducible: false,
            keep_failed: false,
            transaction: None,
            store: None,
            sandbox: None,
            sandbox_host: None,
            cancel: CancellationToken::new(),
            kill: CancellationToken::new(),
            observer: Arc::new(()),
            earlier: None,
            watched: Watched::default(),
        }
    }
}

impl BuildOptions {
    /// The jobserver of the make that runs synth, where jobs are taken from it.
    pub(crate) fn outer(&self, pipeline: &Pipeline) -> Option<Outer> {
        if !pipeline.parallel_execution || self.jobs.is_some() {
            return None;
        }
        Outer::find(self.make_flags.as_deref()?)
    }

    /// How many actions run at once.
    pub(crate) fn jobs(&self, pipeline: &Pipeline, outer: Option<&Outer>) -> NonZeroUsize {
        if !pipeline.parallel_execution {
            return NonZeroUsize::MIN;
        }
        let processors = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.jobs.or_else(|| outer?.jobs).unwrap_or_else(processors)
    }
}
