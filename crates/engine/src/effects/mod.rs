//! Effects: what a pipeline does to the world once everything is proven. Ordered, journaled before
//! they begin, applied, and undone.

mod again;
mod context;
mod copies;
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
mod recover;
mod report;
mod rollback;
mod run;
mod staging;
mod stories;
mod worker;

pub use publish::{EffectOptions, planned_effects, publish};
pub use record::EffectState;
pub use recover::{Recovery, check_unfinished, recover, unfinished};
pub use report::{EffectReport, EffectsReport, Unfinished};
pub use rollback::rollback;
pub use run::Doing;
