//! The stable ABI between synth and a plugin's library: the one place where abi_stable's types
//! appear. Thin on purpose: one object with one method on each side, over which the messages of
//! [`protocol`](crate::protocol) go, so that nothing in here changes when the interface grows.
//!
//! No unwinding crosses the boundary: every entry point catches it on its own side.
#![allow(
    unsafe_code,
    reason = "a root module is handed over as an erased pointer, and abi_stable's derived code is unsafe"
)]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expl_impl_clone_on_copy,
    non_local_definitions,
    non_camel_case_types,
    reason = "code that abi_stable derives"
)]

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::sync::Once;

use abi_stable::StableAbi;
use abi_stable::library::{
    AbiHeaderRef, CheckTypeLayout, LibHeader, LibraryError, RootModule, RootModuleError,
    RootModuleResult,
};
use abi_stable::marker_type::ErasedPrefix;
use abi_stable::prefix_type::{PrefixRefTrait, PrefixTypeTrait};
use abi_stable::sabi_trait;
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::sabi_types::{RRef, VersionStrings};
use abi_stable::std_types::{RBox, RErr, ROk, RResult, RStr, RString};

use crate::BuildTarget;
use crate::protocol::{self, Ask};

/// The symbol under which a library keeps its [`Header`]: abi_stable 0.11's own, so that its
/// tools recognize the library.
pub const HEADER_SYMBOL: &str = abi_stable::library::ROOT_MODULE_LOADER_NAME;

/// A variable that is set in a process that serves a plugin, where what is printed is kept for
/// the diagnostic.
pub const HOSTED: &str = "SYNTH_PLUGIN_HOST";

/// How a library begins to introduce itself, the version of abi_stable first.
pub type Header = LibHeader;

/// What a plugin's library gives its host.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = Module_Ref, prefix_fields = Module_Prefix)))]
pub struct Module {
    /// Makes the target, or tells why it can't be made.
    #[sabi(last_prefix_field)]
    pub create: extern "C" fn() -> RResult<PluginObject, RString>,
}

/// A plugin, as an object.
pub type PluginObject = Plugin_TO<RBox<()>>;

/// The host, as an object for the time of one call.
pub type HostObject<'a> = Host_TO<'a, RRef<'a, ()>>;

/// A plugin answers questions: see [`protocol::method`].
#[sabi_trait]
pub trait Plugin: Send + Sync + 'static {
    /// A method's name and a message, to a message. The host answers what is asked meanwhile.
    #[sabi(last_prefix_field)]
    fn call(&self, method: RStr<'_>, request: RStr<'_>, host: HostObject<'_>) -> RString;
}

/// The host answers questions: see [`protocol::host_method`].
#[sabi_trait]
pub trait Host {
    /// A method's name and a message, to a message.
    #[sabi(last_prefix_field)]
    fn ask(&self, method: RStr<'_>, request: RStr<'_>) -> RString;
}

impl RootModule for Module_Ref {
    abi_stable::declare_root_module_statics! {Module_Ref}

    const BASE_NAME: &'static str = "synth_target";
    const NAME: &'static str = "synth_target";
    // The version of this facade, which is not that of the interface: it stays.
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
}

/// What [`export_target!`](crate::export_target) makes of its argument.
pub trait Exported {
    /// Makes the target kind.
    fn create() -> Box<dyn BuildTarget>;
}

/// The header of a library that exports a target kind.
#[must_use]
pub const fn header<E: Exported>() -> Header {
    // SAFETY: `construct` gives a `Module_Ref`, the type that is named here.
    unsafe { LibHeader::from_constructor::<Module_Ref>(construct::<E>, CheckTypeLayout::Yes) }
}

extern "C" fn construct<E: Exported>() -> RootModuleResult {
    let module = std::panic::catch_unwind(|| {
        Module {
            create: create::<E>,
        }
        .leak_into_prefix()
    });
    match module {
        // SAFETY: an erased pointer is only read as what `header` says it is.
        Ok(module) => ROk(unsafe { module.to_prefix_ref().cast::<ErasedPrefix>() }),
        Err(_) => RErr(RootModuleError::Unwound),
    }
}

extern "C" fn create<E: Exported>() -> RResult<PluginObject, RString> {
    let made = std::panic::catch_unwind(|| {
        panics::note();
        let exported = Guest(E::create());
        Plugin_TO::from_value(exported, TD_Opaque)
    });
    match made {
        Ok(object) => ROk(object),
        Err(payload) => RErr(protocol::describe_panic(payload.as_ref()).into()),
    }
}

/// A target kind on the plugin's side.
struct Guest(Box<dyn BuildTarget>);

impl Plugin for Guest {
    fn call(&self, method: RStr<'_>, request: RStr<'_>, host: HostObject<'_>) -> RString {
        let ask = |method: &str, request: &str| host.ask(method.into(), request.into()).into();
        let _inside = panics::Inside::enter();
        protocol::answer(self.0.as_ref(), &method, &request, &ask, &panics::last).into()
    }
}

/// Where a plugin's code panics: kept for the answer instead of printed.
mod panics {
    use super::{Cell, Once, RefCell};

    static NOTE: Once = Once::new();

    thread_local! {
        static INSIDE: Cell<bool> = const { Cell::new(false) };
        static LAST: RefCell<String> = const { RefCell::new(String::new()) };
    }

    /// From now on, panics of threads that are inside a call are noted.
    pub(super) fn note() {
        NOTE.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if !INSIDE.get() {
                    return before(info);
                }
                let place = info
                    .location()
                    .map(|at| format!("{}:{}", at.file(), at.line()));
                LAST.set(place.unwrap_or_default());
                if std::env::var_os(super::HOSTED).is_some() {
                    // A panic that can't unwind ends the process: this is all that is left of it.
                    before(info);
                }
            }));
        });
    }

    /// The place of this thread's last panic.
    pub(super) fn last() -> String {
        LAST.take()
    }

    /// A call under way.
    pub(super) struct Inside(bool);

    impl Inside {
        pub(super) fn enter() -> Self {
            Self(INSIDE.replace(true))
        }
    }

    impl Drop for Inside {
        fn drop(&mut self) {
            INSIDE.set(self.0);
        }
    }
}

/// A plugin on the host's side.
pub struct LoadedPlugin(PluginObject);

/// Why a library can't be used though it could be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AbiError {
    /// The header is that of another abi_stable, or none.
    #[error("its header is not that of abi_stable 0.11: {0}")]
    Header(String),
    /// Its types are laid out in another way.
    ///
    /// What differs is for those who debug the facade, and long.
    #[error("its types are not laid out as this synth's are")]
    Layout(String),
    /// The target kind was not made.
    #[error("it failed when it was opened: {0}")]
    Create(String),
}

impl LoadedPlugin {
    /// Makes the plugin whose header is at `header`.
    ///
    /// # Safety
    /// `header` is the address of the symbol [`HEADER_SYMBOL`] of a library that stays loaded for
    /// as long as the process lives.
    ///
    /// # Errors
    /// When the library is of another abi_stable, has another layout, or makes no target.
    pub unsafe fn from_header(header: *const ()) -> Result<Self, AbiError> {
        // SAFETY: the symbol is a static of abi_stable's header type, of this version or another:
        // all of them begin with the `AbiHeader` that the reference is to. It lives as long as
        // the library, which the caller keeps. `AbiHeaderRef` is a transparent reference.
        let header: AbiHeaderRef = unsafe { std::mem::transmute(header) };
        let header: &'static LibHeader = header
            .upgrade()
            .map_err(|error| AbiError::Header(one_line(&error)))?;
        let module: Module_Ref = header.init_root_module().map_err(|error| match error {
            LibraryError::RootModule { .. } => AbiError::Create(one_line(&error)),
            error => AbiError::Layout(one_line(&error)),
        })?;
        match module.create()() {
            ROk(object) => Ok(Self(object)),
            RErr(reason) => Err(AbiError::Create(reason.into())),
        }
    }

    /// Puts a question to the plugin, whose own questions `host` answers meanwhile.
    pub fn call(&self, method: &str, request: &str, host: &dyn Ask) -> String {
        let host = HostSide(host);
        let host: HostObject<'_> = Host_TO::from_ptr(RRef::new(&host), TD_Opaque);
        self.0.call(method.into(), request.into(), host).into()
    }
}

/// The first lines of an error that says a lot: abi_stable shows both layouts.
fn one_line(error: &dyn std::error::Error) -> String {
    /// As much as helps to tell what differs.
    const MOST_CHARACTERS: usize = 300;
    let text = error.to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(MOST_CHARACTERS).collect()
}

/// The host while it answers.
struct HostSide<'a>(&'a dyn Ask);

impl Host for HostSide<'_> {
    fn ask(&self, method: RStr<'_>, request: RStr<'_>) -> RString {
        let answer = AssertUnwindSafe(|| self.0.ask(&method, &request));
        std::panic::catch_unwind(answer)
            .unwrap_or_else(|payload| protocol::panicked(payload.as_ref()))
            .into()
    }
}

/// The number of bytes of some texts together.
#[must_use]
pub const fn total_length(texts: &[&str]) -> usize {
    let mut total = 0;
    let mut index = 0;
    while index < texts.len() {
        total += texts[index].len();
        index += 1;
    }
    total
}

/// Some texts together, as bytes: what `concat!` does for literals.
///
/// # Panics
/// When `N` is not their [`total_length`].
#[must_use]
pub const fn joined<const N: usize>(texts: &[&str]) -> [u8; N] {
    let mut bytes = [0; N];
    let (mut index, mut end) = (0, 0);
    while index < texts.len() {
        let text = texts[index].as_bytes();
        let mut at = 0;
        while at < text.len() {
            bytes[end] = text[at];
            at += 1;
            end += 1;
        }
        index += 1;
    }
    assert!(end == N, "the length is not that of the texts");
    bytes
}

/// Makes a library of the crate a plugin: exports a target kind, and embeds the manifest.
///
/// The argument is an expression that makes the target. Beside the crate's `Cargo.toml` there is
/// `synth-target.json`, its description (see [`KindDescription`](crate::KindDescription)), which
/// the conformance test of the test kit writes and keeps true. The library's `crate-type` is
/// `["cdylib", "rlib"]`.
///
/// A plugin that can't do without what a newer interface has says so:
/// `export_target!(MyTarget, needs_interface = "0.2.0")`. Without that it claims to work with
/// every host of its interface's major version.
///
/// A crate that forbids unsafe code as a whole can't export: the names under which a library is
/// found are unsafe attributes. `unsafe_code = "deny"` is fine.
#[macro_export]
macro_rules! export_target {
    ($target:expr $(,)?) => {
        $crate::export_target!($target, needs_interface = "0.1.0");
    };
    ($target:expr, needs_interface = $needs:literal $(,)?) => {
        #[allow(
            unsafe_code,
            reason = "a symbol and a section of the library have fixed names"
        )]
        const _: () = {
            struct Export;

            impl $crate::abi::Exported for Export {
                fn create() -> Box<dyn $crate::BuildTarget> {
                    Box::new($target)
                }
            }

            // SAFETY: a library has one header, and this crate exports one target kind.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static HEADER: $crate::abi::Header = $crate::abi::header::<Export>();

            const TEXTS: &[&str] = &[
                "{\"manifest\":1,\"interface\":\"",
                $crate::INTERFACE_VERSION_TEXT,
                concat!(
                    "\",\"needs_interface\":\"",
                    $needs,
                    "\",\"crate\":\"",
                    env!("CARGO_PKG_NAME"),
                    "\",\"version\":\"",
                    env!("CARGO_PKG_VERSION"),
                    "\",\"triple\":\"",
                ),
                $crate::HOST_TRIPLE,
                "\",\"rustc\":\"",
                $crate::RUSTC,
                "\",\"target\":",
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/synth-target.json")),
                "}",
            ];
            const LENGTH: usize = $crate::abi::total_length(TEXTS);

            // SAFETY: the section holds nothing but this.
            #[used]
            #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".synth.manifest"))]
            #[cfg_attr(
                target_vendor = "apple",
                unsafe(link_section = "__DATA,__synth_manifest")
            )]
            static MANIFEST: [u8; LENGTH] = $crate::abi::joined(TEXTS);
        };
    };
}

#[cfg(test)]
mod tests;
