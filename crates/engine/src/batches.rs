//! Asks one kind for the plans of many targets. A kind that is linked in is asked for each by itself,
//! a plugin for the first, and then for several with each call, what they will ask answered ahead.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use synth_core::protocol::{Batch, BatchHost, Batching, Prepared};
use synth_core::{Diagnostic, PlanContext, TargetSpec};
use tokio_util::sync::CancellationToken;

use crate::foresight::{Foreseen, Foresight};
use crate::kind::Kind;
use crate::plan_cache::{PlanCache, Planned};
use crate::plan_check::check;
use crate::project::Project;
use crate::recorded::{Dialogue, Recorder};

/// What came of asking for a target: a plan with what was asked of the project for it, unless that
/// can't be relied on, or the problems that leave none.
pub(crate) type Outcome = Result<(Planned, Option<Dialogue>), Vec<Diagnostic>>;

/// Where the first batch is small, little is answered ahead while the plugin waits.
const FIRST_BATCH: usize = 8;

/// A batch that comes to nothing is asked for again, one target after the other.
const MOST_TARGETS: usize = 64;

/// What a batch is to take. Targets that take long gain little from being asked for together.
const BATCH_TIME: Duration = Duration::from_secs(1);

/// Whom to ask, and of what.
pub(crate) struct Asking<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) project: &'a Project,
    /// Where plans are kept for the next build.
    pub(crate) cache: Option<&'a PlanCache>,
    pub(crate) cancel: &'a CancellationToken,
}

/// A target that its kind has answered for, with what it asked.
struct Asked<'a> {
    target: &'a TargetSpec,
    prepared: Prepared,
    recorder: Recorder<'a>,
}

impl<'a> Asking<'a> {
    /// What comes of each target, in their order; of fewer when it is cancelled.
    pub(crate) fn ask(&self, targets: &[&'a TargetSpec]) -> Vec<Outcome> {
        match (self.kind.batching(), targets) {
            (Batching::None, targets) => {
                let all = targets.par_iter();
                let outcomes: Vec<Option<Outcome>> = all.map(|target| self.one(target)).collect();
                outcomes.into_iter().map_while(|outcome| outcome).collect()
            }
            (Batching::Parallel, [first, rest @ ..]) => self.in_parallel(first, rest),
            (Batching::Serial, [first, rest @ ..]) => self.in_turn(first, rest),
            (_, []) => Vec::new(),
        }
    }

    /// One target by itself; none when it is cancelled.
    fn one(&self, target: &'a TargetSpec) -> Option<Outcome> {
        let wanted = !self.cancel.is_cancelled();
        wanted.then(|| self.finish(self.alone(target)))
    }

    fn alone(&self, target: &'a TargetSpec) -> Asked<'a> {
        let recorder = Recorder::new(self.project, self.cancel);
        let problems = self.kind.validate(target, &recorder);
        let sound = !problems.iter().any(Diagnostic::is_error);
        let plan = sound.then(|| self.kind.plan(target, &recorder));
        Asked {
            target,
            prepared: Prepared { problems, plan },
            recorder,
        }
    }

    /// The first target by itself; what the others are likely to ask, and how many take
    /// [`BATCH_TIME`].
    fn begin(&self, first: &'a TargetSpec) -> (Asked<'a>, Foresight, usize) {
        let started = Instant::now();
        let asked = self.alone(first);
        let size = batch_size(1, started.elapsed());
        let mut foresight = Foresight::default();
        learn(&mut foresight, std::slice::from_ref(&asked));
        (asked, foresight, size)
    }

    /// Batches on all processors, as many as keep them at work to the end.
    fn in_parallel(&self, first: &'a TargetSpec, targets: &[&'a TargetSpec]) -> Vec<Outcome> {
        const BATCHES_OF_EACH: usize = 2;
        if self.cancel.is_cancelled() {
            return Vec::new();
        }
        let (first, foresight, size) = self.begin(first);
        let even = targets
            .len()
            .div_ceil(rayon::current_num_threads() * BATCHES_OF_EACH);
        let is_able = AtomicBool::new(true);
        let batches = targets.par_chunks(even.clamp(1, size)).map(|batch| {
            if is_able.load(Ordering::Relaxed) && !self.cancel.is_cancelled() {
                let foreseen = foresight.clone().answers(batch, self.project, self.cancel);
                if let Some(asked) = self.prepare(batch, &foreseen) {
                    return (batch.len(), self.finish_all(asked));
                }
                is_able.store(false, Ordering::Relaxed);
            }
            (batch.len(), self.one_by_one(batch.iter().copied()))
        });
        let batches: Vec<(usize, Vec<Outcome>)> = batches.collect();
        let mut outcomes = vec![self.finish(first)];
        for (targets, batch) in batches {
            let is_cut = batch.len() < targets;
            outcomes.extend(batch);
            if is_cut {
                break;
            }
        }
        outcomes
    }

    fn one_by_one(&self, targets: impl Iterator<Item = &'a TargetSpec>) -> Vec<Outcome> {
        targets.map_while(|target| self.one(target)).collect()
    }

    /// Batches one after the other; while the kind is at work on one, the last one is finished, and
    /// what the next one will ask is answered.
    fn in_turn(&self, first: &'a TargetSpec, targets: &[&'a TargetSpec]) -> Vec<Outcome> {
        if self.cancel.is_cancelled() {
            return Vec::new();
        }
        let (first, mut foresight, size) = self.begin(first);
        let (mut done, mut size) = (vec![first], size.min(FIRST_BATCH));
        let (mut batch, mut rest) = split(targets, size);
        let mut foreseen = foresight.answers(batch, self.project, self.cancel);
        let mut outcomes = Vec::with_capacity(targets.len() + 1);
        while !batch.is_empty() && !self.cancel.is_cancelled() {
            let (next, later) = split(rest, size);
            let started = Instant::now();
            let (prepared, (finished, ahead)) = rayon::join(
                || self.prepare(batch, &foreseen),
                || {
                    let finished = self.finish_all(std::mem::take(&mut done));
                    (finished, foresight.answers(next, self.project, self.cancel))
                },
            );
            outcomes.extend(finished);
            let Some(prepared) = prepared else {
                let one_by_one = batch
                    .iter()
                    .chain(rest)
                    .map_while(|target| self.one(target));
                outcomes.extend(one_by_one);
                return outcomes;
            };
            size = batch_size(batch.len(), started.elapsed());
            learn(&mut foresight, &prepared);
            done = prepared;
            (batch, rest, foreseen) = (next, later, ahead);
        }
        outcomes.extend(self.finish_all(done));
        outcomes
    }

    /// Has several targets prepared with one call; none when that can't be done.
    fn prepare(&self, targets: &[&'a TargetSpec], foreseen: &Foreseen) -> Option<Vec<Asked<'a>>> {
        let recorders = targets.iter();
        let recorders = recorders.map(|_| Recorder::new(self.project, self.cancel));
        let host = Hosts {
            recorders: recorders.collect(),
            foreseen,
            cancel: self.cancel,
        };
        let prepared = self.kind.prepare(&Batch {
            targets,
            answers: &foreseen.answers,
            host: &host,
        })?;
        let targets = targets.iter().zip(prepared).zip(host.recorders);
        let asked = targets.map(|((target, prepared), recorder)| Asked {
            target,
            prepared,
            recorder,
        });
        Some(asked.collect())
    }

    fn finish_all(&self, asked: Vec<Asked<'a>>) -> Vec<Outcome> {
        let asked = asked.into_par_iter();
        asked.map(|asked| self.finish(asked)).collect()
    }

    /// Checks a plan, and keeps it.
    fn finish(&self, asked: Asked<'_>) -> Outcome {
        let Asked {
            target,
            prepared: Prepared { mut problems, plan },
            recorder,
        } = asked;
        let Some(plan) = plan.filter(|_| !problems.iter().any(Diagnostic::is_error)) else {
            return Err(problems);
        };
        let description = self.kind.description();
        match plan.and_then(|plan| check(target, description, plan)) {
            Ok(plan) => {
                let planned = Planned {
                    warnings: problems,
                    plan,
                };
                // A plan that was given up half way is none for the next build.
                let cache = self.cache.filter(|_| !self.cancel.is_cancelled());
                let dialogue = recorder.into_dialogue();
                if let (Some(cache), Some(dialogue)) = (cache, &dialogue) {
                    cache.keep(target, self.kind, dialogue, &planned);
                }
                Ok((planned, dialogue))
            }
            Err(found) => {
                problems.extend(found);
                Err(problems)
            }
        }
    }
}

fn learn(foresight: &mut Foresight, asked: &[Asked<'_>]) {
    let asked = asked.iter();
    let asked: Vec<_> = asked
        .map(|asked| (asked.target, asked.recorder.questions()))
        .collect();
    foresight.learn(&asked);
}

/// The first of them, at most so many, and the others.
fn split<T>(all: &[T], most: usize) -> (&[T], &[T]) {
    all.split_at_checked(most).unwrap_or((all, &[]))
}

/// How many targets take [`BATCH_TIME`], if they take as long as these did.
fn batch_size(targets: usize, took: Duration) -> usize {
    let each = took.as_nanos() / u128::try_from(targets).unwrap_or(1).max(1);
    let size = BATCH_TIME.as_nanos() / each.max(1);
    usize::try_from(size)
        .unwrap_or(MOST_TARGETS)
        .clamp(1, MOST_TARGETS)
}

/// The targets of a batch, each with what it asks.
struct Hosts<'p, 'f> {
    recorders: Vec<Recorder<'p>>,
    foreseen: &'f Foreseen,
    cancel: &'p CancellationToken,
}

impl BatchHost for Hosts<'_, '_> {
    fn context(&self, target: usize) -> Option<&dyn PlanContext> {
        let recorder: &dyn PlanContext = self.recorders.get(target)?;
        Some(recorder)
    }

    fn used(&self, target: usize, answers: &[u32]) -> bool {
        let Some(recorder) = self.recorders.get(target) else {
            return false;
        };
        answers.iter().all(|place| {
            let place = usize::try_from(*place).ok();
            let answered = place.and_then(|place| self.foreseen.answered.get(place));
            answered.map(|answered| recorder.note(answered)).is_some()
        })
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

#[cfg(test)]
mod tests;
