//! Effects: what a pipeline does to the world once everything is proven. Ordered, journaled before
//! they begin, applied, and undone.

mod directory;
mod journal;
mod order;
mod record;
mod run;
mod staging;

pub use record::EffectState;
pub use run::Doing;
