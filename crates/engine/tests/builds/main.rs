//! Whole builds through the public interface.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of a test fail it where they stand"
)]

mod cache;
mod caching;
mod containment;
mod explaining;
mod failing;
mod in_place;
mod index;
mod outputs;
mod plan_cache;
mod processes;
mod restoring;
mod scheduling;
mod sharing;
mod workspace;
