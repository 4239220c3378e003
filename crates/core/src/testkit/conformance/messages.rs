//! What is said survives being written and read: as it is, and with fields that a newer side
//! would add.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::difference;
use crate::testkit::TestPipeline;
use crate::testkit::panics::catch;
use crate::{Diagnostic, Message, ProjectPath};

/// A field that no version knows.
const LATER: &str = "synth:later";

pub(super) fn check(pipeline: &TestPipeline) -> Vec<Diagnostic> {
    let (kind, target) = (pipeline.kind.as_ref(), &pipeline.target);
    let session = match pipeline.session() {
        Ok(session) => session,
        Err(failed) => return failed.diagnostics,
    };
    let context = &session.context;
    let said = catch(|| {
        let mut findings = Vec::new();
        findings.extend(survives(&kind.describe()));
        findings.extend(survives(target));
        findings.extend(survives(&kind.validate(target, context)));
        findings.extend(survives(&kind.requirements(target, context)));
        findings.extend(survives(&kind.detect(&target.source_path, context)));
        findings.extend(survives::<Vec<ProjectPath>>(&kind.clean(target)));
        findings.extend(match kind.plan(target, context) {
            Ok(plan) => survives(&plan),
            Err(problems) => survives(&problems),
        });
        findings
    });
    said.unwrap_or_else(|panic| {
        let message = "the kind panicked while it was asked for all that it says";
        vec![Diagnostic::error("conformance.messages.panics", message).cause(panic)]
    })
}

/// In how many structs of one message a field is added.
const MOST_PLACES: usize = 20;

/// A value as a message and back; what was lost on the way.
pub(super) fn survives<T>(value: &T) -> Option<Diagnostic>
where
    T: Serialize + DeserializeOwned + PartialEq,
{
    let problem = |reason: String| {
        let name = std::any::type_name::<T>().replace("synth_core::", "");
        let message = format!("a value of type `{name}` does not survive being a message");
        Diagnostic::error("conformance.messages.lost", message)
            .cause(reason)
            .help("paths have to be UTF-8, and numbers such that JSON can hold them")
    };
    let body = match serde_json::to_value(value) {
        Ok(body) => body,
        Err(error) => return Some(problem(error.to_string())),
    };
    let read = |body: &Value| -> Result<T, String> {
        let message = json!({
            "interface": crate::INTERFACE_VERSION,
            "body": body,
            LATER: true,
        });
        let message = Message::from_json(&message.to_string());
        message.map(|message| message.body).map_err(|error| {
            let cause = std::error::Error::source(&error);
            cause.map_or_else(|| error.to_string(), ToString::to_string)
        })
    };
    match read(&body) {
        Ok(back) if back == *value => {}
        Ok(back) => {
            let back = serde_json::to_value(&back).unwrap_or_default();
            return Some(problem(difference(&body, &back, ["before", "after"])));
        }
        Err(reason) => return Some(problem(reason)),
    }
    let mut places = Vec::new();
    structs(&body, &mut String::new(), &mut places);
    // Thousands of a sort tell no more, and each takes a look at the whole.
    places.iter().take(MOST_PLACES).find_map(|place| {
        let mut more = body.clone();
        let object = more.pointer_mut(place).and_then(Value::as_object_mut)?;
        object.insert(LATER.into(), Value::Null);
        let lost = match read(&more) {
            Ok(back) => back != *value,
            Err(_) => true,
        };
        lost.then(|| {
            problem(format!(
                "with a field added at `{place}` it is another value"
            ))
        })
    })
}

/// Places of structs of the interface, where a newer version may add fields: the whole, and what
/// is in its lists. What is below may be a map of the target's own.
fn structs(value: &Value, path: &mut String, found: &mut Vec<String>) {
    let length = path.len();
    match value {
        Value::Object(object) => {
            found.push(path.clone());
            for key in [
                "actions",
                "exports",
                "artifacts",
                "warnings",
                "diagnostics",
                "inputs",
                "outputs",
                "tools",
            ] {
                if let Some(items @ Value::Array(_)) = object.get(key) {
                    path.push('/');
                    path.push_str(key);
                    structs(items, path, found);
                    path.truncate(length);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("/{index}"));
                structs(item, path, found);
                path.truncate(length);
            }
        }
        _ => {}
    }
}
