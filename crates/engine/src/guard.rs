//! Calls of code that may panic: the panic is caught, and what it said is given to the caller
//! instead of being printed.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::sync::Once;

use synth_core::Diagnostic;

/// What a call panicked with.
#[derive(Debug)]
pub(crate) enum Panic {
    /// A message, and where it was raised (`src/lib.rs:7:5`), when that is known.
    Message {
        message: String,
        place: Option<String>,
    },
    /// A problem that was thrown as it is, by a method that has no other way to tell it.
    Told(Box<Diagnostic>),
}

thread_local! {
    /// How many guarded calls this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Where the thread's last panic inside a guarded call was raised.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Calls, and catches what the call panics with.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Panic> {
    keep_panics_quiet();
    PLACE.set(None);
    DEPTH.set(DEPTH.get() + 1);
    let result = std::panic::catch_unwind(AssertUnwindSafe(call));
    DEPTH.set(DEPTH.get() - 1);
    result.map_err(|payload| panic_of(payload, PLACE.take()))
}

fn panic_of(payload: Box<dyn Any + Send>, place: Option<String>) -> Panic {
    let payload = match payload.downcast::<Diagnostic>() {
        Ok(told) => return Panic::Told(told),
        Err(payload) => payload,
    };
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Panic::Message { message, place }
}

/// Lays a hook over the process's own that keeps where a guarded call panicked, instead of
/// printing it. Whoever asks for backtraces still gets them, and all other panics go on as before.
fn keep_panics_quiet() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A thread that is just ending has no depth any more, and is in no guarded call.
            let guarded = DEPTH.try_with(|depth| depth.get() > 0).unwrap_or(false);
            if guarded {
                let place = panic.location().map(ToString::to_string);
                let _ = PLACE.try_with(|kept| kept.replace(place));
            }
            let traced = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
            if !guarded || traced {
                before(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_place() {
        assert_eq!(guarded(|| 1).unwrap(), 1);
        for (call, expected) in [
            ((|| panic!("plain")) as fn(), "plain"),
            (|| panic!("{} {}", "with", 1), "with 1"),
            (|| std::panic::panic_any(1), ""),
        ] {
            let Err(Panic::Message { message, place }) = guarded(call) else {
                panic!("it panicked with a message");
            };
            assert_eq!(message, expected);
            assert!(place.unwrap().starts_with(file!()));
        }
        let told = guarded(|| {
            std::panic::resume_unwind(Box::new(Diagnostic::error("a.b", "c")));
        });
        assert!(matches!(told, Err(Panic::Told(problem)) if problem.code == "a.b"));
    }
}
