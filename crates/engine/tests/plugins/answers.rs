//! What the plugin answers, each method in turn.

use synth_core::{
    ActionKind, BuildTarget, Detection, Diagnostic, Native, Plan, ProjectPath, Requirement,
};
use synth_engine::plugin::{Isolation, PluginLimits, examine};

use crate::fixture::{good, host, opened};
use crate::project::{Place, Sources};

pub(crate) fn the_context_answers(isolation: Isolation) {
    let (plugin, sources) = (opened(isolation), Sources::new());
    let found = plugin.validate(&sources.target(), sources.context().as_ref());
    let found: Vec<String> = found
        .into_iter()
        .map(|problem| format!("{}: {}", problem.code, problem.message))
        .collect();
    let tools = sources.root().display().to_string();
    assert_eq!(
        found.join("\n").replace(&tools, "<root>"),
        "good.read: [116, 101, 120, 116, 10]\n\
         good.read_bytes: [255, 0]\n\
         good.read_text: `src/bytes.bin` is not UTF-8 text: byte 0 is wrong\n\
         good.read_missing: `src/missing` does not exist\n\
         good.kind: Some(Symlink)\n\
         good.kind_missing: None\n\
         good.files: [\"below/more.txt\", \"in.txt\"]\n\
         good.directories: [\"below\"]\n\
         good.link: Some(\"in.txt\")\n\
         good.link_outward: `src/outward` leads out of the project, to `/etc/passwd`\n\
         good.tool: \"tool 1.0\"\n\
         good.tool_missing: `<root>/no-tool` was not found"
    );
}

pub(crate) fn it_plans(isolation: Isolation) {
    let plan = planned(isolation, &Sources::new());
    let [action] = &plan.actions[..] else {
        panic!("{plan:?}");
    };
    assert_eq!(action.id, "copy");
    assert_eq!(action.tools[0].version_output, "tool 1.0");
    let exports: Vec<&str> = plan
        .exports
        .iter()
        .map(|export| export.path.as_str())
        .collect();
    assert_eq!(exports, ["out.txt"]);
    // What the manifest says needs no plugin.
    assert_eq!(opened(isolation).describe(), good().manifest.describe());
}

fn planned(isolation: Isolation, sources: &Sources) -> Plan {
    let planned = opened(isolation).plan(&sources.target(), sources.context().as_ref());
    planned.unwrap()
}

pub(crate) fn it_runs(isolation: Isolation) {
    let plugin = opened(isolation);
    let place = Place::new();
    let outcome = plugin.run(&native(isolation), &place).unwrap();
    let length = &outcome.attributes["good.text"]["length"];
    assert_eq!(length, "30");
    assert_eq!(place.output().unwrap(), "text\ntool exited with Some(3)\n");
    assert_eq!(
        place.said.borrow()[..3],
        ["log: logged", "progress: copying", "run: tool argument"]
    );
    let mut cancelled = Place::new();
    cancelled.cancelled = true;
    let problems = plugin.run(&native(isolation), &cancelled).unwrap_err();
    assert_eq!(
        told(&problems),
        [("good.failed", "cancelled before it began")]
    );
    assert_eq!(cancelled.output(), None);
}

fn native(isolation: Isolation) -> Native {
    match &planned(isolation, &Sources::new()).actions[0].kind {
        ActionKind::Native(native) => native.clone(),
        other => panic!("{other:?}"),
    }
}

fn told(problems: &[Diagnostic]) -> Vec<(&str, &str)> {
    let problems = problems.iter();
    problems
        .map(|problem| (problem.code.as_str(), problem.message.as_str()))
        .collect()
}

pub(crate) fn it_says_what_it_needs(isolation: Isolation) {
    let (plugin, sources) = (opened(isolation), Sources::new());
    let target = sources.target();
    let needed = plugin.requirements(&target, sources.context().as_ref());
    let needed: Vec<&str> = needed.iter().map(|one| one.purpose.as_str()).collect();
    assert_eq!(needed, ["true"]);
    assert_eq!(plugin.clean(&target), [ProjectPath::parse("src").unwrap()]);
}

pub(crate) fn it_detects(isolation: Isolation) {
    let plugin = opened(isolation);
    assert_eq!(detected(plugin.as_ref(), "found"), Some("found".to_owned()));
    assert_eq!(detected(plugin.as_ref(), ""), None);
}

/// The name of what is detected in a directory with that file.
fn detected(plugin: &dyn BuildTarget, text: &str) -> Option<String> {
    let sources = Sources::new();
    if !text.is_empty() {
        sources.write("src/good.txt", text.as_bytes());
    }
    let directory = ProjectPath::parse("src").unwrap();
    let found: Option<Detection> = plugin.detect(&directory, sources.context().as_ref());
    found.map(|found| found.name)
}

pub(crate) fn panics_are_answers(isolation: Isolation) {
    let (plugin, sources) = (opened(isolation), Sources::new());
    let context = sources.context();
    let target = |method: &str| sources.target().setting("panic_in", method);
    let mut told_to_run = native(isolation);
    told_to_run.parameters = serde_json::json!({"panic_in": "run"});
    for (method, problems) in [
        (
            "validate",
            plugin.validate(&target("validate"), context.as_ref()),
        ),
        (
            "plan",
            plugin.plan(&target("plan"), context.as_ref()).unwrap_err(),
        ),
        ("run", plugin.run(&told_to_run, &Place::new()).unwrap_err()),
    ] {
        let message = format!("plugin `synth-target-good 1.2.3` panicked in `{method}`");
        assert_eq!(told(&problems), [("plugin.panic", message.as_str())]);
        let cause = problems[0].causes[0].as_str();
        let said = format!("told to in {method} (at ");
        assert!(
            cause.starts_with(&said) && cause.contains("src/lib.rs:"),
            "{cause}"
        );
    }
    // This one has no place for a problem in its answer, and passes it by.
    let clean = std::panic::AssertUnwindSafe(|| plugin.clean(&target("clean")));
    let payload = std::panic::catch_unwind(clean).unwrap_err();
    let problem = *payload.downcast::<Diagnostic>().unwrap();
    let message = "plugin `synth-target-good 1.2.3` panicked in `clean`";
    assert_eq!(told(&[problem]), [("plugin.panic", message)]);
    // These have an answer that stands for none.
    let needed: Vec<Requirement> = plugin.requirements(&target("requirements"), context.as_ref());
    assert_eq!(needed, []);
    assert_eq!(detected(plugin.as_ref(), "panic"), None);
    // It is as good as before.
    assert_eq!(detected(plugin.as_ref(), "found"), Some("found".to_owned()));
}

pub(crate) fn threads_share_it(isolation: Isolation) {
    let (plugin, sources) = (opened(isolation), Sources::new());
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (plugin, sources) = (&plugin, &sources);
            scope.spawn(move || {
                let method = if number % 2 == 0 { "validate" } else { "" };
                let target = sources.target().setting("panic_in", method);
                let problems = plugin.validate(&target, sources.context().as_ref());
                let panicked = problems.iter().any(|one| one.code == "plugin.panic");
                assert_eq!(panicked, number % 2 == 0, "{problems:?}");
            });
        }
    });
}

pub(crate) fn a_library_is_opened_twice() {
    // The system opens it once; there are two objects of it all the same.
    let (first, second) = (opened(Isolation::None), opened(Isolation::None));
    assert_eq!(detected(first.as_ref(), "found"), Some("found".to_owned()));
    drop(first);
    assert_eq!(detected(second.as_ref(), "found"), Some("found".to_owned()));
}

pub(crate) fn it_is_what_its_manifest_says() {
    examine(&good(), &PluginLimits::default(), &host()).unwrap();
}

pub(crate) fn what_it_prints_is_in_the_log() {
    let (plugin, sources) = (opened(Isolation::Process), Sources::new());
    plugin.validate(&sources.target(), sources.context().as_ref());
    let place = Place::new();
    plugin.run(&native(Isolation::Process), &place).unwrap();
    let said = place.said.borrow();
    assert_eq!(said.last().unwrap(), "log: printed while it ran");
    // What it printed before belongs to no action.
    assert_eq!(said.len(), 4, "{said:?}");
}
