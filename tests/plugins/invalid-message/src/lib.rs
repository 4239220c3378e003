//! A plugin that answers every question with what is no message.

use abi_stable::export_root_module;
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RResult, RStr, RString};
use synth_core::abi::{HostObject, Module, Module_Ref, Plugin, Plugin_TO, PluginObject};

#[macro_use]
#[path = "../../manifest.rs"]
mod manifest;

manifest!(manifest_text!(
    "invalid-message",
    interface = "0.2.0",
    needs = "0.2.0",
    triple = env!("FIXTURE_TRIPLE")
));

struct Nonsense;

impl Plugin for Nonsense {
    fn call(&self, _: RStr<'_>, _: RStr<'_>, _: HostObject<'_>) -> RString {
        "{\"interface\":\"0.2.0\",\"body\":{\"done\":\"what?\"".into()
    }
}

extern "C" fn create() -> RResult<PluginObject, RString> {
    RResult::ROk(Plugin_TO::from_value(Nonsense, TD_Opaque))
}

#[export_root_module]
fn module() -> Module_Ref {
    Module { create }.leak_into_prefix()
}
