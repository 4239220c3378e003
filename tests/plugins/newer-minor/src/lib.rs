//! A plugin of a newer minor version of the interface, whose messages have fields that this host
//! does not know, and which asks the host for a method that it does not have.

use abi_stable::export_root_module;
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RResult, RStr, RString};
use serde_json::{Value, json};
use synth_core::abi::{HostObject, Module, Module_Ref, Plugin, Plugin_TO, PluginObject};

#[macro_use]
#[path = "../../manifest.rs"]
mod manifest;

manifest!(manifest_text!(
    "newer-minor",
    interface = "0.9.0",
    needs = "0.1.0",
    triple = env!("FIXTURE_TRIPLE")
));

struct Newer;

impl Plugin for Newer {
    fn call(&self, method: RStr<'_>, request: RStr<'_>, host: HostObject<'_>) -> RString {
        let done = |value: Value| json!({ "done": value });
        let body = match method.as_str() {
            "describe" => done(json!({
                "kind": "newer-minor",
                "crate_name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
                "description": env!("CARGO_PKG_DESCRIPTION"),
                "settings_schema": { "type": "object", "properties": {} },
                "icon": "of a later version",
            })),
            "validate" => done(json!([])),
            "plan" => {
                let question = json!({ "interface": "0.9.0", "body": null }).to_string();
                let answer = host.ask("weather".into(), question.as_str().into());
                let answer: Value = serde_json::from_str(&answer).unwrap();
                assert_eq!(answer["body"], "unknown");
                done(json!({ "success": plan() }))
            }
            "run" => {
                let request: Value = serde_json::from_str(&request).unwrap();
                let outputs = request["body"]["outputs"].as_str().unwrap();
                std::fs::write(format!("{outputs}/made.txt"), "made\n").unwrap();
                done(json!({ "success": { "energy_joules": 1 } }))
            }
            _ => json!("unknown"),
        };
        let answer = json!({ "interface": "0.9.0", "body": body, "signature": "later" });
        answer.to_string().into()
    }
}

fn plan() -> Value {
    json!({
        "actions": [{
            "id": "make",
            "phase": "build",
            "description": "make a file",
            "kind": { "native": { "function": "make", "priority": "later" } },
            "outputs": [{ "name": "made", "path": "made.txt", "kind": "file" }],
            "carbon": { "budget": 1 },
        }],
        "exports": [{ "action": "make", "output": "made", "path": "made.txt" }],
        "later": true,
    })
}

extern "C" fn create() -> RResult<PluginObject, RString> {
    RResult::ROk(Plugin_TO::from_value(Newer, TD_Opaque))
}

#[export_root_module]
fn module() -> Module_Ref {
    Module { create }.leak_into_prefix()
}
