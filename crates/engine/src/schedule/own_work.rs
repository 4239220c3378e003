//! What is left to do for an action when its process is over is synth's own work, and takes no job of
//! the next one, within limits.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::action_graph::ActionIndex;
use crate::schedule::Schedule;

impl Schedule<'_> {
    /// How many of the jobs synth's own work takes, after actions have run: beside as many processes
    /// as there are jobs, as much is done without one, for most of it waits for the kernel. One at a
    /// time is one at a time.
    pub(super) fn own_work(&self) -> usize {
        let work = self.commits + self.ran.len();
        match self.workshop.jobs.get() {
            1 => work,
            jobs => work.saturating_sub(jobs),
        }
    }

    /// Has an action's job taken by the next one as soon as its process is over. Not of one that is
    /// executed twice, and where one is done after the other.
    pub(super) fn tell_when_ran(&self, index: ActionIndex) -> Arc<dyn Fn() + Send + Sync> {
        if self.workshop.verify || self.workshop.jobs == NonZeroUsize::MIN {
            return Arc::new(|| {});
        }
        let to = self.rans.0.clone();
        Arc::new(move || {
            let _ = to.send(index);
        })
    }
}
