//! Tests that try to catch the engine serving something stale or torn: random changes, kills at
//! random moments, and odd things. The first two are short here; `cargo xtask soak` runs their
//! full forms.

mod changes;
mod clock;
mod full;
mod history;
mod kills;
mod large;
mod odd;
pub(crate) mod pipeline;
mod publishes;
mod rollbacks;
mod snapshot;
mod walk;

/// How much is to be done: what `cargo xtask soak` asks for, else the short form.
fn amount(variable: &str, short: u64) -> u64 {
    std::env::var(variable).map_or(short, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is no number: {text}"))
    })
}

/// What the random choices start from: another one each day would make failures hard to find
/// again, so that the short form is always the same.
fn seed() -> u64 {
    amount("SYNTH_SOAK_SEED", 4)
}
