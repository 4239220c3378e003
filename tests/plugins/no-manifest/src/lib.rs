//! A library that is no plugin.

/// The answer.
#[unsafe(no_mangle)]
pub extern "C" fn answer() -> i32 {
    42
}
