//! A plugin that fails in every way that its setting `fault` can name.

use std::fs;
use std::hint::black_box;

use serde_json::json;
use synth_core::{
    Action, BuildTarget, Diagnostic, Effect, EffectKind, EffectPhase, Native, NativeOutcome, Phase,
    Plan, PlanContext, Process, Receipt, RunContext, TargetDescription, TargetSpec,
};

struct Faults;

synth_core::export_target!(Faults);

fn fault(target: &TargetSpec) -> &str {
    target
        .settings
        .get("fault")
        .and_then(|fault| fault.as_str())
        .unwrap_or_default()
}

impl BuildTarget for Faults {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: "faults".into(),
            crate_name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").parse().unwrap(),
            description: "Fails as its settings say".into(),
            settings_schema: json!({
                "type": "object",
                "properties": {
                    "fault": { "type": "string", "description": "How it fails." },
                    "world": { "type": "string", "description": "A directory that it publishes into." },
                },
            }),
            setting_aliases: Vec::new(),
        }
    }

    fn validate(&self, target: &TargetSpec, _: &dyn PlanContext) -> Vec<Diagnostic> {
        match fault(target) {
            "panic in validate" => panic!("validate met what it did not expect"),
            "null in validate" => null_dereference(),
            _ => {}
        }
        Vec::new()
    }

    fn plan(&self, target: &TargetSpec, _: &dyn PlanContext) -> Result<Plan, Vec<Diagnostic>> {
        let path = match fault(target) {
            "panic in plan" => panic!("plan met what it did not expect"),
            "null in plan" => null_dereference(),
            "exit in plan" => std::process::exit(0),
            "loop in plan" => endless(),
            "memory in plan" => allocate(),
            "print in plan" => print(),
            "undeclared read" => undeclared_read(target),
            "outside" => "../outside.txt",
            _ => "made.txt",
        };
        let native = Native::new(fault(target));
        let mut make =
            Action::new("make", Phase::Build, "make a file", native).output_file("made", path);
        if fault(target) == "loop in run" {
            make = make.timeout_seconds(1);
        }
        let mut plan = Plan::default()
            .action(make)
            .export("make", "made", "made.txt");
        if let Some(world) = target.settings.get("world") {
            let native = Native::new(fault(target)).parameters(world.clone());
            let description = "copy what was made into the world";
            let effect = Effect::new("copy", EffectPhase::Publish, description, native);
            plan.effects.push(effect);
        }
        Ok(plan)
    }

    fn apply_effect(
        &self,
        effect: &Effect,
        context: &dyn RunContext,
    ) -> Result<Receipt, Vec<Diagnostic>> {
        let (fault, world) = publishes(effect);
        let made = fs::read_to_string(context.inputs().join("out/made.txt")).unwrap();
        let text = format!("printf %s \"$1\" > '{world}/published'");
        let outcome = context
            .run(&Process {
                argv: ["sh", "-euc", &text, "sh", &made]
                    .map(String::from)
                    .to_vec(),
                ..Process::default()
            })
            .map_err(|problem| vec![problem])?;
        assert!(outcome.succeeded(), "{}", outcome.last_output);
        match fault.as_str() {
            "exit in apply" => std::process::exit(0),
            _ => Ok(Receipt::new(1, json!({ "world": world }))),
        }
    }

    fn undo_effect(
        &self,
        effect: &Effect,
        _: Option<&Receipt>,
        context: &dyn RunContext,
    ) -> Result<(), Vec<Diagnostic>> {
        let (_, world) = publishes(effect);
        let argv = ["rm", "-f", &format!("{world}/published")];
        let outcome = context
            .run(&Process {
                argv: argv.map(String::from).to_vec(),
                ..Process::default()
            })
            .map_err(|problem| vec![problem])?;
        assert!(outcome.succeeded(), "{}", outcome.last_output);
        Ok(())
    }

    fn run(
        &self,
        action: &Native,
        context: &dyn RunContext,
    ) -> Result<NativeOutcome, Vec<Diagnostic>> {
        match action.function.as_str() {
            "panic in run" => panic!("run met what it did not expect"),
            "null in run" => null_dereference(),
            "exit in run" => std::process::exit(0),
            "loop in run" => endless(),
            "memory in run" => allocate(),
            "log" => log(context),
            "nothing made" => return Ok(NativeOutcome::quiet()),
            "write outside" => write_outside(context),
            _ => {}
        }
        println!("printed by the plugin");
        fs::write(context.outputs().join("made.txt"), "made\n").unwrap();
        Ok(NativeOutcome::quiet())
    }
}

/// What an effect is to do, and where.
fn publishes(effect: &Effect) -> (String, String) {
    let EffectKind::Native(native) = &effect.kind else {
        unreachable!("it plans no other effects")
    };
    let world = native.parameters.as_str().unwrap().to_owned();
    (native.function.clone(), world)
}

fn null_dereference() -> ! {
    let nothing: *mut u8 = black_box(std::ptr::null_mut());
    // SAFETY: there is none. It is what this plugin is for.
    unsafe { nothing.write_volatile(1) };
    unreachable!("a write to nowhere went well")
}

fn endless() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

fn allocate() -> ! {
    let bytes = black_box(vec![1_u8; 4 << 30]);
    unreachable!("{} bytes were to be had", bytes.len())
}

const GIBIBYTE: usize = 1 << 30;

fn print() -> ! {
    let line = "x".repeat(1023);
    for _ in 0..GIBIBYTE / 1024 {
        println!("{line}");
    }
    unreachable!("1 GiB was printed")
}

fn log(context: &dyn RunContext) -> ! {
    let line = "x".repeat(1023);
    for _ in 0..GIBIBYTE / 1024 {
        context.log(&line);
    }
    unreachable!("1 GiB was logged")
}

/// Reads a file of the project behind the engine's back. Its path is a variable of the target:
/// the plugin itself is told no path of the project.
fn undeclared_read(target: &TargetSpec) -> &'static str {
    fs::read(&target.environment["SECRET"]).expect("a file is read that nobody was asked for");
    "made.txt"
}

fn write_outside(context: &dyn RunContext) {
    let outside = context.outputs().join("../../outside.txt");
    fs::write(outside, "escaped\n").expect("a file is written outside");
}
