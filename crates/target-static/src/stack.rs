//! Room for parsers, which call themselves for each level of what they read: generated scripts
//! are nested deeper than a thread's usual stack can hold, and a full stack ends the process.

use std::panic;
use std::thread;

/// Address space, of which the system gives memory to what is used alone.
const STACK_SIZE: usize = 1 << 30;

/// Runs a function with a deep stack, or with the usual one where the system refuses that.
pub(crate) fn roomy<T: Default + Send>(run: impl FnOnce() -> T + Send) -> T {
    let mut run = Some(run);
    let mut result = None;
    thread::scope(|scope| {
        let builder = thread::Builder::new().stack_size(STACK_SIZE);
        if let Ok(thread) = builder.spawn_scoped(scope, || run.take().map(|run| run())) {
            result = thread
                .join()
                .unwrap_or_else(|cause| panic::resume_unwind(cause));
        }
    });
    result
        .or_else(|| run.take().map(|run| run()))
        .unwrap_or_default()
}
