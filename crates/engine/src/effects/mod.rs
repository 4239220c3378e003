//! Effects: what a pipeline does to the world once everything is proven. Ordered, journaled before
//! they begin, applied, and undone.

mod context;
mod directory;
mod gather;
mod hold;
pub(crate) mod journal;
mod left_out;
mod order;
pub(crate) mod proved;
mod publish;
mod receipt;
mod record;
mod report;
mod run;
mod staging;
mod worker;

pub use publish::{
    EffectOptions, Recovery, check_unfinished, planned_effects, publish, recover, rollback,
    unfinished,
};
pub use record::EffectState;
pub use report::{EffectReport, EffectsReport, Unfinished};
pub use run::Doing;
