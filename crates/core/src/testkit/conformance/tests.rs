//! One target kind that breaks it for each promise, and what is said to its author.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::{Check, Conformance};
use crate::testkit::in_words;
use crate::testkit::tests::toy::{self, Settings, Toy, one_action};
use crate::{
    Diagnostic, Exec, KindDescription, Native, NativeOutcome, ProjectPath, SettingAlias,
    TargetDescription, Tool,
};

/// What a check says of a toy, without what differs from one machine or version to another.
fn said(check: Check, toy: Toy) -> String {
    let conformance =
        Conformance::new([toy.pipeline()]).of_crate("synth-target-toy", "1.2.3", "/nowhere");
    words(&conformance.findings(check))
}

fn words(findings: &[Diagnostic]) -> String {
    findings.iter().map(in_words).collect()
}

macro_rules! assert_said {
    ($check:expr, $toy:expr, @$expected:literal) => {
        insta::with_settings!({filters => vec![
            (r"\.rs:\d+", ".rs:LINE"),
            (r"`\d{10}`", "`SECONDS`"),
        ]}, {
            insta::assert_snapshot!(said($check, $toy), @$expected);
        });
    };
}

#[test]
fn a_good_kind_keeps_every_promise() {
    let directory = tempfile::tempdir().unwrap();
    let conformance = Conformance::new([Toy::default().pipeline()]).of_crate(
        "synth-target-toy",
        "1.2.3",
        directory.path(),
    );
    fs::write(
        directory.path().join("synth-target.json"),
        serde_json::to_vec(&KindDescription::from(toy::description())).unwrap(),
    )
    .unwrap();
    for check in Check::ALL {
        conformance.assert(check);
    }
}

#[test]
fn a_changing_description() {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let describe = || TargetDescription {
        description: format!("call {}", COUNT.fetch_add(1, Ordering::Relaxed).min(2)),
        ..toy::description()
    };
    let toy = Toy {
        describe,
        ..Toy::default()
    };
    assert_said!(Check::Description, toy, @r#"
    error conformance.description.changes: `describe` does not give the same answer each time
      because: `description` is "call 1" the first time and "call 2" the second time
      help: build the description from constants: no counter, no clock, no hash map
    "#);
    let describe = || {
        let keys: HashMap<String, u8> = (0..9).map(|key| (format!("k{key}"), 0)).collect();
        let schema = json!({ "type": "object", "properties": keys });
        let settings_schema = schema;
        TargetDescription {
            settings_schema,
            ..toy::description()
        }
    };
    let toy = Toy {
        describe,
        ..Toy::default()
    };
    assert!(said(Check::Description, toy).contains("conformance.description.changes"));
}

#[test]
fn a_description_that_the_engine_can_t_use() {
    let describe = || {
        let alias = |alias: &str, setting: &str| SettingAlias {
            alias: alias.into(),
            setting: setting.into(),
        };
        TargetDescription {
            kind: "My_Toy".into(),
            crate_name: "toy".into(),
            version: semver::Version::new(0, 0, 1),
            description: "two\nlines".into(),
            settings_schema: json!({
                "type": "object",
                "properties": {
                    "needs": { "description": "common" },
                    "a": { "$ref": "#/$defs/Gone" },
                },
                "required": ["b"],
                "oneOf": [],
            }),
            setting_aliases: vec![alias("x", "y"), alias("source_path", "a")],
        }
    };
    let toy = Toy {
        describe,
        ..Toy::default()
    };
    assert_said!(Check::Description, toy, @r#"
    error conformance.description.kind: the kind "My_Toy" can't be a `type` in synth.toml
      help: use lower-case letters, digits and `-`: `static-site`
    error conformance.description.text: the description is not one line of text: "two\nlines"
      help: say what is built: `a Rust crate as binaries`
    error conformance.description.schema.common: the setting `needs` has the name of a key that every target has
      help: rename it; the common keys are fields of `TargetSpec`
    error conformance.description.schema.ignored: `oneOf` at the top of `settings_schema` is not looked at
      help: keys of a target are `properties`, `required` and `additionalProperties: false`: put alternatives into the schema of one setting, and check what must go together in `validate`
    error conformance.description.schema.reference: `settings_schema` refers to `#/$defs/Gone`, which is not in it
      help: derive `schemars::JsonSchema` for a struct and use `synth_core::settings_schema::<Settings>()`
    error conformance.description.schema.required: the required setting `b` is none of the `properties`
      help: derive `schemars::JsonSchema` for a struct and use `synth_core::settings_schema::<Settings>()`
    error conformance.description.schema.description: the setting `a` has no description
      help: write a doc comment on its field: users and editors see it
    error conformance.description.alias: `x` is an alias of `y`, which is no setting
      help: name one of the schema's `properties`
    error conformance.description.alias: the alias `source_path` of `a` is a key of its own already
      help: leave the alias out
    error conformance.description.crate: `describe` says that the crate is `toy`, but it is `synth-target-toy`
      help: write `crate_name: env!("CARGO_PKG_NAME").into()`
    error conformance.description.crate: `describe` says that the crate's version is 0.0.1, but it is 1.2.3
      help: parse `env!("CARGO_PKG_VERSION")`: it is part of every cache key
    "#);
    let describe = || TargetDescription {
        settings_schema: json!(true),
        ..toy::description()
    };
    let toy = Toy {
        describe,
        ..Toy::default()
    };
    assert_said!(Check::Description, toy, @"
    error conformance.description.schema: `settings_schema` is not the schema of an object with `properties`
      help: derive `schemars::JsonSchema` for a struct and use `synth_core::settings_schema::<Settings>()`
    ");
}

#[test]
fn a_description_file_is_brought_up_to_date_and_then_passes() {
    let directory = tempfile::tempdir().unwrap();
    let conformance =
        Conformance::new([Toy::default().pipeline()]).of_crate("a", "1.2.3", directory.path());
    let writing = Conformance {
        may_write: true,
        ..conformance.clone()
    };
    let reading = conformance.without_writing();
    let path = directory.path().join("synth-target.json");
    insta::assert_snapshot!(words(&reading.findings(Check::DescriptionFile)), @"
    error conformance.description.file.missing: there is no synth-target.json beside Cargo.toml
      help: run the tests where the variable `CI` is not set: they bring synth-target.json up to date; then commit it
    ");
    assert!(!path.exists());
    insta::assert_snapshot!(words(&writing.findings(Check::DescriptionFile)), @"
    error conformance.description.file.missing: there is no synth-target.json beside Cargo.toml
      help: synth-target.json was brought up to date: run the tests again, and commit it
    ");
    assert_eq!(words(&writing.findings(Check::DescriptionFile)), "");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("{\n  \"kind\": \"toy\",\n") && text.ends_with("\n}\n"));
    fs::write(&path, text.replace("a toy", "an old toy")).unwrap();
    insta::assert_snapshot!(words(&reading.findings(Check::DescriptionFile)), @r#"
    error conformance.description.file.differs: synth-target.json is not what `describe` says
      because: `description` is "an old toy" in the file and "a toy" in `describe`
      help: run the tests where the variable `CI` is not set: they bring synth-target.json up to date; then commit it
    "#);
    fs::write(&path, "{}").unwrap();
    insta::assert_snapshot!(words(&writing.findings(Check::DescriptionFile)), @"
    error conformance.description.file.differs: synth-target.json is no description
      because: missing field `kind` at line 1 column 2
      help: synth-target.json was brought up to date: run the tests again, and commit it
    ");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn panics_on_odd_settings_are_shown_with_the_least_that_does_it() {
    let validate = |target: &crate::TargetSpec, _: &dyn crate::PlanContext| {
        if let Some(greeting) = target
            .settings
            .get("greeting")
            .and_then(|value| value.as_str())
        {
            let _ = &greeting[..greeting.len().min(1)];
        }
        toy::validate(target, &crate::testkit::TestProject::new().unwrap())
    };
    let toy = Toy {
        validate,
        ..Toy::default()
    };
    assert_said!(Check::Settings, toy, @r#"
    error conformance.settings.panics: `validate` panicked on what may stand in synth.toml
      because: crates/core/src/testkit/conformance/tests.rs:LINE: end byte index 1 is not a char boundary; it is inside 'é' (bytes 0..2) of `é`
      because: settings {"greeting":"é"}
      help: report it: `Diagnostic::error(..).at_setting(["key"])`; read settings with `TargetSpec::settings_as`, and index and slice nothing unchecked
    "#);
    let plan = |target: &crate::TargetSpec, context: &dyn crate::PlanContext| {
        let names = target.settings.get("names");
        assert!(
            names.is_none_or(serde_json::Value::is_array),
            "names are a list"
        );
        toy::plan(target, context)
    };
    let toy = Toy {
        plan,
        ..Toy::default()
    };
    assert_said!(Check::Settings, toy, @r#"
    error conformance.settings.panics: `plan` panicked on what may stand in synth.toml
      because: crates/core/src/testkit/conformance/tests.rs:LINE: names are a list
      because: settings {"names":null}
      help: report it: `Diagnostic::error(..).at_setting(["key"])`; read settings with `TargetSpec::settings_as`, and index and slice nothing unchecked
    "#);
}

#[test]
fn settings_on_which_a_kind_hangs_are_named() {
    let validate = |target: &crate::TargetSpec, _: &dyn crate::PlanContext| {
        while target.settings.get("times") == Some(&json!(0)) {
            std::thread::park();
        }
        Vec::new()
    };
    let toy = Toy {
        validate,
        ..Toy::default()
    };
    let patience = std::time::Duration::from_secs(2);
    let findings = super::settings::check_with(&[toy.pipeline()], patience);
    insta::assert_snapshot!(words(&findings), @r#"
    error conformance.settings.hangs: `validate` or `plan` gave no answer within 2 s
      because: settings {"times":0}
      help: see that every loop ends, and that nothing waits for the network, for input or for a lock
    "#);
}

#[test]
fn settings_that_are_accepted_make_a_sound_plan() {
    let plan = |target: &crate::TargetSpec, context: &dyn crate::PlanContext| {
        let settings: Settings = target.settings_as().unwrap_or_default();
        let mut plan = toy::plan(target, context)?;
        plan.actions[0].outputs[0].path = format!("out/{}/x", settings.greeting);
        Ok(plan)
    };
    let toy = Toy {
        plan,
        ..Toy::default()
    };
    assert_said!(Check::Settings, toy, @r#"
    error conformance.settings.unsound: `validate` accepts what `plan` makes a plan of that can't be carried out
      because: `toy` has an output at a wrong place: the path holds a NUL byte
      because: settings {"greeting":"\u0000"}
      help: have `validate` report such settings, with what to write instead
    "#);
}

#[test]
fn a_plan_with_the_order_of_a_hash_map() {
    let plan = |target: &crate::TargetSpec, _: &dyn crate::PlanContext| {
        let variables: HashMap<&str, &str> = [("a", "1"), ("b", "2")].into();
        let order: Vec<&str> = variables.into_keys().collect();
        // What differs from run to run has no place in a snapshot.
        let order = if order == ["a", "b"] { "ab" } else { "ba" };
        Ok(one_action(target, Native::new(order)))
    };
    let toy = Toy {
        plan,
        ..Toy::default()
    };
    let said = said(Check::Plan, toy).replace("ba", "ab");
    insta::assert_snapshot!(said, @r#"
    error conformance.plan.differs: `plan` gave two plans for one target
      because: `actions[0].kind.native.function` is "ab" the first time and "ab" the second time
      help: no clock, no random numbers, no state; use `BTreeMap` or sort where order shows
    "#);
}

#[test]
fn a_plan_that_asks_for_something_else_the_second_time() {
    thread_local!(static COUNT: Cell<u32> = const { Cell::new(0) });
    let plan = |target: &crate::TargetSpec, context: &dyn crate::PlanContext| {
        let path = format!("names{}.txt", COUNT.replace(COUNT.get() + 1));
        context.exists(&ProjectPath::parse(&path).unwrap());
        toy::plan(target, context)
    };
    let toy = Toy {
        plan,
        ..Toy::default()
    };
    assert_said!(Check::Plan, toy, @"
    error conformance.plan.asks: `plan` looked what is at `names1.txt` the second time, and not the first
      help: what is asked must follow from the settings and from earlier answers: no clock, no random numbers, no state, no order of a hash map
    ");
}

// Elsewhere the kit does not see it.
#[cfg(target_os = "linux")]
#[test]
fn a_plan_that_reads_files_by_itself() {
    let plan = |target: &crate::TargetSpec, _: &dyn crate::PlanContext| {
        let manifest = fs::read_to_string("Cargo.toml").map(|text| text.len() > 10);
        Ok(one_action(
            target,
            Native::new(format!("{}", manifest.is_ok())),
        ))
    };
    let toy = Toy {
        plan,
        ..Toy::default()
    };
    assert_said!(Check::Plan, toy, @r#"
    error conformance.plan.reads: `plan` reads files by itself: without the right to open any, it differs
      because: `actions[0].kind.native.function` is "true" with all rights and "false" without
      help: ask the `PlanContext`: what a plan rests on has to be known, so that it is made again when that changes
    "#);
    let plan = |target: &crate::TargetSpec, _: &dyn crate::PlanContext| {
        let _ = fs::read("Cargo.toml").unwrap();
        Ok(one_action(target, Native::new("read")))
    };
    let toy = Toy {
        plan,
        ..Toy::default()
    };
    assert_said!(Check::Plan, toy, @r#"
    error conformance.plan.reads: `plan` reads files by itself: without the right to open any, it differs
      because: `plan` panicked (crates/core/src/testkit/conformance/tests.rs:LINE: called `Result::unwrap()` on an `Err` value: Os { code: 13, kind: PermissionDenied, message: "Permission denied" })
      help: ask the `PlanContext`: what a plan rests on has to be known, so that it is made again when that changes
    "#);
}

#[test]
fn a_plan_with_the_present_time() {
    let dated = |text: &str| {
        let today = jiff::Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date();
        let plan = |target: &crate::TargetSpec, context: &dyn crate::PlanContext| {
            let today = jiff::Timestamp::now()
                .to_zoned(jiff::tz::TimeZone::UTC)
                .date();
            let path = ProjectPath::parse("version.txt").unwrap();
            let _ = context.read_text(&path);
            Ok(one_action(target, Native::new(today.to_string())))
        };
        let toy = Toy {
            plan,
            ..Toy::default()
        };
        let text = text.replace("TODAY", &today.to_string());
        Conformance::new([toy.pipeline().file("version.txt", text)]).findings(Check::Plan)
    };
    assert_eq!(dated("1.0")[0].code, "conformance.plan.time");
    assert_eq!(words(&dated("TODAY")), "", "the project says it");

    let plan = |target: &crate::TargetSpec, _: &dyn crate::PlanContext| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        // The second may change between two plans: that would be another finding.
        let now = now / 2 * 2;
        let native = Native::new("time").parameters(json!(format!("{now} {}", now + 1)));
        Ok(one_action(target, native))
    };
    let toy = Toy {
        plan,
        ..Toy::default()
    };
    let codes: Vec<String> = Conformance::new([toy.pipeline()])
        .findings(Check::Plan)
        .into_iter()
        .map(|finding| finding.code)
        .collect();
    assert!(
        codes.contains(&"conformance.plan.time".to_owned()),
        "{codes:?}"
    );
}

#[test]
fn a_plan_that_can_t_be_carried_out_or_is_none() {
    let plan = |target: &crate::TargetSpec, _: &dyn crate::PlanContext| {
        let plan = one_action(target, Exec::new(["cc"]));
        Ok(plan.export("toy", "binary", "bin"))
    };
    let toy = Toy {
        plan,
        ..Toy::default()
    };
    assert_said!(Check::Plan, toy, @"
    error conformance.plan.unsound: the plan can't be carried out: `toy` runs `cc`, which is none of its tools: find it with `PlanContext::tool` and add it with `Action::tool`
      help: the engine refuses such a plan
    error conformance.plan.unsound: the plan can't be carried out: it exports the output `binary` of `toy`, which no action declares
      help: the engine refuses such a plan
    ");
    let plan = |_: &crate::TargetSpec, _: &dyn crate::PlanContext| {
        Err(vec![Diagnostic::error("toy.no", "there is no plan")])
    };
    let toy = Toy {
        plan,
        ..Toy::default()
    };
    assert_said!(Check::Plan, toy, @"
    error conformance.plan.refused: `plan` gave none, though `validate` found no problem
      because: toy.no: there is no plan
      help: what can be seen without building is for `validate` to report
    ");
    let validate = |_: &crate::TargetSpec, _: &dyn crate::PlanContext| {
        vec![Diagnostic::error("toy.no", "there is no toy")]
    };
    let toy = Toy {
        validate,
        ..Toy::default()
    };
    assert_said!(Check::Plan, toy, @"
    error conformance.plan.invalid: `validate` finds a problem in the pipeline to check
      because: toy.no: there is no toy
      help: conformance is checked with pipelines that can be built: mend this one
    ");
}

#[test]
fn an_output_that_is_declared_and_not_left() {
    let run = |_: &Native, context: &dyn crate::RunContext| {
        fs::write(context.outputs().join("out.text"), "").unwrap();
        Ok(NativeOutcome::quiet())
    };
    let toy = Toy {
        run,
        ..Toy::default()
    };
    assert_said!(Check::Build, toy, @"
    error conformance.build.failed: the pipeline to check can't be built
      because: execute.output.missing: `make a toy` succeeded but left no file `out.txt`
      help: there is `out.text`
      help: give a pipeline that can be built here, or say `.plan_only()` where its tools are not there in tests
    ");
}

#[test]
fn a_native_action_that_is_not_pure() {
    let run = |_: &Native, context: &dyn crate::RunContext| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        fs::write(context.outputs().join("out.txt"), now.to_string()).unwrap();
        Ok(NativeOutcome::quiet())
    };
    let toy = Toy {
        run,
        ..Toy::default()
    };
    assert_said!(Check::Build, toy, @"
    error conformance.native.differs: the native action `toy` gave other bytes in its output `text` the second time
      help: what it leaves must follow from its inputs and parameters: no clock, no random numbers, no order of a hash map, no files that are not its inputs
    ");
}

// Elsewhere the kit does not see it.
#[cfg(target_os = "linux")]
#[test]
fn a_native_action_that_reads_what_is_not_its_input() {
    let run = |_: &Native, context: &dyn crate::RunContext| {
        let manifest = fs::read("Cargo.toml").map_err(|error| {
            vec![Diagnostic::error("toy.read", "no Cargo.toml").caused_by(&error)]
        })?;
        fs::write(context.outputs().join("out.txt"), manifest).unwrap();
        Ok(NativeOutcome::quiet())
    };
    let toy = Toy {
        run,
        ..Toy::default()
    };
    assert_said!(Check::Build, toy, @"
    error conformance.native.undeclared: the native action `toy` failed where it could open nothing but its own directories
      because: no Cargo.toml
      because: Permission denied (os error 13)
      help: everything that it reads has to be an input of the action; inputs are not to be written, and temporary files go to `RunContext::scratch`
    ");
}

#[test]
fn a_message_that_does_not_survive() {
    use std::os::unix::ffi::OsStringExt;
    let plan = |target: &crate::TargetSpec, _: &dyn crate::PlanContext| {
        let mut plan = one_action(target, Native::new("toy"));
        plan.actions[0].tools.push(Tool {
            name: "cc".into(),
            path: std::ffi::OsString::from_vec(b"/bin/c\xff".into()).into(),
            version_output: String::new(),
            digest: crate::Digest::new("0".repeat(64), 0).unwrap(),
        });
        Ok(plan)
    };
    let toy = Toy {
        plan,
        ..Toy::default()
    };
    assert_said!(Check::Messages, toy, @"
    error conformance.messages.lost: a value of type `plan::Plan` does not survive being a message
      because: path contains invalid UTF-8 characters
      help: paths have to be UTF-8, and numbers such that JSON can hold them
    ");
}

#[test]
fn of_several_pipelines_the_one_at_fault_is_named() {
    let good = Toy::default().pipeline();
    let bad = good.clone().setting("times", -1);
    let findings = Conformance::new([good, bad]).findings(Check::Plan);
    insta::assert_snapshot!(words(&findings), @"
    error conformance.plan.invalid: `validate` finds a problem in the pipeline to check
      because: config.settings: the settings of target `toy` have a wrong shape
      because: invalid value: integer `-1`, expected u8
      because: in pipeline 2 of 2, target `toy`
      help: conformance is checked with pipelines that can be built: mend this one
    ");
    insta::assert_snapshot!(words(&Conformance::new([]).findings(Check::Plan)), @"
    error conformance.pipelines: there is no pipeline to check
      help: give at least one: `TestPipeline::new(MyTarget).file(..)`
    ");
}
