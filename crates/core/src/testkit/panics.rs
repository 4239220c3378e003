//! Calls code that may panic, and tells where and why it did, without the usual noise.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::sync::Once;

thread_local! {
    /// What this thread's panics say while they are caught; none while they are not.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Calls `call`. In place of its panic: what it says and where it is.
pub(super) fn catch<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    // A hook is the only way to learn where a panic is; the one before gets all others.
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_caught = CAUGHT.with_borrow_mut(|caught| {
                let Some(caught) = caught else { return false };
                let said = info.payload_as_str().unwrap_or("it panicked");
                *caught = match info.location() {
                    Some(at) => format!("{}:{}: {said}", at.file(), at.line()),
                    None => said.to_owned(),
                };
                true
            });
            if !is_caught {
                before(info);
            }
        }));
    });
    let outer = CAUGHT.replace(Some(String::new()));
    let result = std::panic::catch_unwind(AssertUnwindSafe(call));
    let caught = CAUGHT.replace(outer);
    result.map_err(|_| caught.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_says_where_and_why() {
        assert_eq!(catch(|| 1), Ok(1));
        let inner = catch(|| {
            assert_eq!(
                catch(|| panic!("inner")).err().as_deref().map(is_here),
                Some(true)
            );
            panic!("{} times", 2)
        });
        let said: Result<(), String> = inner;
        assert!(said.unwrap_err().ends_with(": 2 times"));
    }

    fn is_here(text: &str) -> bool {
        text.starts_with(file!()) && text.ends_with(": inner")
    }
}
