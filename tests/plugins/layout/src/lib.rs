//! A plugin whose root module has the name and version of synth's, and other fields.

#![allow(non_camel_case_types, reason = "abi_stable derives names of that form")]

use abi_stable::StableAbi;
use abi_stable::export_root_module;
use abi_stable::library::RootModule;
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::RString;

#[macro_use]
#[path = "../../manifest.rs"]
mod manifest;

manifest!(manifest_text!(
    "layout",
    interface = "0.1.0",
    needs = "0.1.0",
    triple = env!("FIXTURE_TRIPLE")
));

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = Module_Ref, prefix_fields = Module_Prefix)))]
pub struct Module {
    #[sabi(last_prefix_field)]
    pub create: extern "C" fn(u64) -> RString,
}

impl RootModule for Module_Ref {
    abi_stable::declare_root_module_statics! {Module_Ref}

    const BASE_NAME: &'static str = "synth_target";
    const NAME: &'static str = "synth_target";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
}

extern "C" fn create(number: u64) -> RString {
    number.to_string().into()
}

#[export_root_module]
fn module() -> Module_Ref {
    Module { create }.leak_into_prefix()
}
