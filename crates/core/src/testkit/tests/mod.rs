//! Pipelines of small target kinds, planned and built.

mod building;
pub(super) mod toy;
