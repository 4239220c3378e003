//! A value for every message of the interface, with every field and every form.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;
use synth_core::protocol::{
    Answer, FoundTool, Json, KnownAnswer, Outcome, PrepareRequest, Ran, Read, RunRequest,
    TargetAnswer, TargetQuestion, host_method,
};
use synth_core::{
    Action, Advice, ArtifactRule, Concern, DetectedSetting, Detection, Diagnostic, Digest,
    DirectoryPublish, Effect, EffectPhase, EffectProcesses, EffectRequest, Exec, FileKind,
    HOST_TRIPLE, InlineFile, InputSource, KindDescription, Manifest, Native, NativeOutcome,
    Network, Phase, Plan, PlanError, Presence, Process, ProcessOutcome, ProjectPath, Receipt,
    Requirement, Resources, Retry, RetrySettings, SettingAlias, SourceFiles, TargetDescription,
    TargetSpec, Thousandths, Tool, ToolError, ToolRequest,
};

use super::Released;

pub(super) fn all() -> Vec<Released> {
    let mut all = vec![
        Released::new("nothing", ()),
        Released::new("describe.answer", Answer::Done(description())),
        Released::new("target", target()),
        Released::new("validate.answer", Answer::Done(diagnostics())),
        Released::new("requirements.answer", Answer::Done(vec![requirement()])),
        Released::new("plan.answer", Answer::Done(Outcome::Success(plan()))),
        Released::new(
            "plan.failure",
            Answer::<Outcome<Plan>>::Done(Outcome::Failure(diagnostics())),
        ),
        Released::new("prepare.request", prepare_request()),
        Released::new("prepare.answer", Answer::Done(prepare_answer())),
        Released::new("run.request", run_request()),
        Released::new(
            "run.answer",
            Answer::Done(Outcome::Success(native_outcome())),
        ),
        Released::new("effects.plan.answer", {
            let plan = effects().into_iter().fold(Plan::default(), Plan::effect);
            Answer::Done(Outcome::Success(plan))
        }),
        Released::new("effects.target", publishing_target()),
        Released::new("retries.plan.answer", {
            let plan = Plan::default().action(retried());
            Answer::Done(Outcome::Success(plan))
        }),
        Released::new("retries.target", retried_target()),
        Released::new("advice.answer", Answer::Done(advice())),
        Released::new("effect.request", effect_request()),
        Released::new(
            "check_effect.answers",
            vec![
                Answer::Done(Outcome::Success(Presence::Unknown)),
                Answer::Done(Outcome::Success(Presence::Absent)),
                Answer::Done(Outcome::Success(Presence::Present(receipt()))),
            ],
        ),
        Released::new(
            "apply_effect.answers",
            vec![
                Answer::Done(Outcome::Success(receipt())),
                Answer::Done(Outcome::Success(Receipt::already_there())),
            ],
        ),
        Released::new("undo_effect.answer", Answer::Done(Outcome::Success(()))),
        Released::new("clean.answer", Answer::Done(vec![path("web/.cache")])),
        Released::new("detect.answer", Answer::Done(Some(detection()))),
        Released::new("unknown.answer", Answer::<()>::Unknown),
        Released::new(
            "malformed.answer",
            Answer::<()>::Malformed {
                reason: "missing field `name`".into(),
            },
        ),
        Released::new(
            "panicked.answer",
            Answer::<()>::Panicked {
                message: "index out of bounds".into(),
                place: "src/lib.rs:12".into(),
            },
        ),
        Released::new("manifest", manifest()),
    ];
    all.extend(of_the_host());
    all
}

fn of_the_host() -> Vec<Released> {
    let denied = PlanError::Io {
        path: path("web"),
        reason: "Permission denied (os error 13)".into(),
    };
    let errors: Vec<Read<String>> = vec![
        Err(PlanError::NotFound { path: path("a") }),
        Err(PlanError::NotText {
            path: path("a"),
            offset: 7,
        }),
        Err(PlanError::Leaves {
            path: path("a"),
            leads_to: "/etc/passwd".into(),
        }),
        Err(PlanError::Pattern {
            pattern: "[".into(),
            reason: "unclosed character class".into(),
        }),
        Err(denied),
    ];
    let lists: Read<Vec<String>> = Ok(vec!["index.html".into(), "ä/b c.css".into()]);
    let kinds: Vec<Read<Option<FileKind>>> = vec![
        Ok(Some(FileKind::File)),
        Ok(Some(FileKind::Directory)),
        Ok(Some(FileKind::Symlink)),
        Ok(Some(FileKind::Other)),
        Ok(None),
    ];
    let tools: Vec<FoundTool> = vec![
        Ok(tool()),
        Err(ToolError::Missing {
            program: "cc".into(),
        }),
        Err(ToolError::Broken {
            program: "cc".into(),
            reason: "exit code 1: no".into(),
        }),
    ];
    let links: Vec<Read<Option<String>>> = vec![Ok(Some("../b".into())), Ok(None)];
    let ran: Vec<Ran> = vec![
        Ok(ProcessOutcome {
            exit_code: Some(1),
            last_output: "no\n".into(),
        }),
        Ok(ProcessOutcome {
            exit_code: None,
            last_output: String::new(),
        }),
        Err(diagnostics().remove(0)),
    ];
    vec![
        Released::new("path", path("web/index.html")),
        Released::new("text", "a line, \u{e4} \"quoted\"".to_owned()),
        Released::new(
            "read.answer",
            Answer::<Read<String>>::Done(Ok("AAECAw==".into())),
        ),
        Released::new("read.errors", errors),
        Released::new("kind.answers", kinds),
        Released::new("files.request", source_files()),
        Released::new("files.answer", Answer::Done(lists)),
        Released::new("link.answers", links),
        Released::new(
            "tool.request",
            ToolRequest::named("cc").program("/usr/bin/cc"),
        ),
        Released::new("tool.answers", tools),
        Released::new("for_target.request", for_target_request()),
        Released::new("is_cancelled.answer", Answer::Done(true)),
        Released::new("run_process.request", process()),
        Released::new("run_process.answers", ran),
    ]
}

fn path(text: &str) -> ProjectPath {
    ProjectPath::parse(text).unwrap()
}

fn description() -> TargetDescription {
    TargetDescription {
        kind: "greet".into(),
        crate_name: "synth-target-greet".into(),
        version: "1.2.3-beta.1".parse().unwrap(),
        description: "Greets people".into(),
        settings_schema: json!({
            "type": "object",
            "properties": { "name": { "type": "string" } },
        }),
        setting_aliases: vec![SettingAlias {
            alias: "who".into(),
            setting: "name".into(),
        }],
    }
}

fn manifest() -> Manifest {
    Manifest {
        manifest: 1,
        interface: "0.1.0".parse().unwrap(),
        needs_interface: "0.1.0".parse().unwrap(),
        crate_name: "synth-target-greet".into(),
        version: "1.2.3".parse().unwrap(),
        triple: "x86_64-unknown-linux-gnu".into(),
        rustc: "rustc 1.95.0".into(),
        target: KindDescription::from(description()),
    }
}

fn target() -> TargetSpec {
    TargetSpec::new("site", "greet", path("web"))
        .output_path(path("out/site"))
        .dependency("requests>=2")
        .variable("LANGUAGE", "en")
        .need("api")
        .setting("name", "world")
        .setting("many", json!([1, { "deep": null }]))
}

fn publishing_target() -> TargetSpec {
    let publish = DirectoryPublish {
        directory: "/srv/site".into(),
        keep: 3,
    };
    TargetSpec {
        publish: Some(publish),
        ..target()
    }
}

fn retried_target() -> TargetSpec {
    let retry = RetrySettings {
        attempts: Some(5),
        initial_delay_seconds: Some(Thousandths::new(500)),
        maximum_delay_seconds: Some(Thousandths::new(30_000)),
        multiplier: Some(Thousandths::new(1_500)),
        jitter: Some(Thousandths::new(0)),
        exit_codes: vec![75],
        patterns: vec!["connection lost".into()],
        timeouts: Some(true),
    };
    TargetSpec {
        retry: Some(retry),
        ..target()
    }
}

fn retried() -> Action {
    let mut retry = Retry::of_network().exit_code(75).pattern("E50[0-9]");
    retry.timeouts = true;
    let fetch = Native::new("fetch");
    Action::new("fetch", Phase::Install, "fetch it", fetch).retry(retry)
}

fn advice() -> Vec<Advice> {
    let of = |network| {
        Advice::new("greet.lost", "lost (.*)", "`$1` was lost")
            .help("look for `$1`")
            .network(network)
    };
    vec![
        of(Network::None),
        of(Network::Allowed).help("or do without it"),
        Advice::new("greet.busy", "", "there are too many").exit_code(75),
    ]
}

/// One of each kind, with every field.
fn effects() -> Vec<Effect> {
    let processes = EffectProcesses {
        apply: Exec::new(["upload", "${synth:root}/out"]).pass(["TOKEN"]),
        undo: Some(Exec::new(["remove"]).working_directory("web")),
        check: Some(Exec::new(["./look"]).variable("DEPTH", "1")),
    };
    let directory = DirectoryPublish {
        directory: "/srv/site".into(),
        keep: 3,
    };
    let announce = Native::new("announce").parameters(json!({ "to": "all" }));
    vec![
        Effect {
            needs: vec!["api".into()],
            tools: vec![tool()],
            network: Network::Allowed,
            timeout_seconds: Some(60),
            retry: Retry::attempts(3),
            ..Effect::new("upload", EffectPhase::Publish, "upload it", processes)
        },
        Effect::new("directory", EffectPhase::Publish, "put it there", directory),
        Effect {
            after: vec!["upload".into()],
            irreversible: true,
            ..Effect::new("announce", EffectPhase::Deploy, "tell everybody", announce)
        },
    ]
}

fn receipt() -> Receipt {
    Receipt::new(2, json!({ "name": "site-1.0" }))
}

fn effect_request() -> EffectRequest {
    EffectRequest {
        effect: effects().remove(2),
        receipt: Some(receipt()),
        inputs: "/work/inputs".into(),
        outputs: "/work/outputs".into(),
        scratch: "/work/scratch".into(),
    }
}

fn diagnostics() -> Vec<Diagnostic> {
    let concerns = [
        Concern::Project,
        Concern::Environment,
        Concern::State,
        Concern::Internal,
    ];
    let mut all: Vec<Diagnostic> = concerns
        .into_iter()
        .map(|concern| Diagnostic::error("greet.name", "there is nobody").concerning(concern))
        .collect();
    all.push(
        Diagnostic::warning("greet.long", "the name is long")
            .at_setting(["names", "2"])
            .help("shorten it")
            .cause("97 characters"),
    );
    all.push(Diagnostic::error("greet.file", "no name").in_file("web/names.txt"));
    all.push(Diagnostic::error("greet.line", "no name").at_line("web/names.txt", 3, "  ?"));
    all[0].target = Some("site".into());
    all
}

fn tool() -> Tool {
    Tool {
        name: "cc".into(),
        path: "/usr/bin/cc".into(),
        version_output: "cc 12.2.0".into(),
        digest: Digest::new("ab".repeat(32), 1234).unwrap(),
    }
}

fn requirement() -> Requirement {
    Requirement {
        tool: ToolRequest::named("cc"),
        minimum_version: Some("9".into()),
        purpose: "compiles".into(),
        how_to_get: "apt-get install gcc".into(),
        optional: true,
    }
}

fn source_files() -> SourceFiles {
    SourceFiles::below(path("web"))
        .include(["**/*.html"])
        .exclude(["drafts"])
}

fn plan() -> Plan {
    let exec = Exec::new(["cc", "-o", "${synth:root}/app", "main.c"])
        .working_directory("src")
        .variable("CFLAGS", "-O2")
        .pass(["HTTPS_PROXY", "CC_*"]);
    let compile = Action::new("compile", Phase::Build, "compile", exec)
        .input("src", InputSource::Source(source_files()))
        .input(
            "",
            InputSource::Files {
                root: path("web"),
                paths: vec!["main.c".into()],
            },
        )
        .input("needs/api", InputSource::Target { name: "api".into() })
        .input(
            "run.sh",
            InputSource::Inline(InlineFile {
                text: "echo\n".into(),
                executable: true,
            }),
        )
        .output_file("app", "app")
        .output_directory("docs", "out/docs")
        .output_files("rest", "", ["dist/**"])
        .tool(tool())
        .with_network()
        .timeout_seconds(60);
    let compile = with_one_processor(compile);
    let mut native = Native::new("pack").parameters(json!({ "level": 9 }));
    native.pass_environment = vec!["TOKEN".into()];
    let mut pack = Action::new("pack", Phase::Assemble, "pack", native)
        .input_from("app", "compile", "app")
        .after("compile")
        .output_file("archive", "app.tar");
    pack.resources = Resources {
        cpu_millis: 500,
        memory_bytes: 1 << 30,
        ..Resources::default()
    };
    pack.retry = Retry::attempts(3);
    let mut plan = Plan::default()
        .action(compile)
        .action(pack)
        .export("pack", "archive", "app.tar")
        .artifact("greet.archive", "*.tar")
        .in_place();
    for (index, phase) in phases().into_iter().enumerate() {
        let function = Native::new("nothing");
        let action = Action::new(index.to_string(), phase, "a phase", function);
        plan = plan.action(with_one_processor(action));
    }
    plan.artifacts.push(ArtifactRule {
        kind: "greet.all".into(),
        pattern: String::new(),
    });
    plan.warnings = diagnostics();
    plan
}

fn with_one_processor(mut action: Action) -> Action {
    action.resources.cpu_millis = 1000;
    action
}

fn phases() -> [Phase; 11] {
    [
        Phase::Resolve,
        Phase::Install,
        Phase::Build,
        Phase::Test,
        Phase::Assemble,
        Phase::Optimize,
        Phase::Validate,
        Phase::Scan,
        Phase::Sign,
        Phase::Publish,
        Phase::Deploy,
    ]
}

fn prepare_request() -> PrepareRequest<'static> {
    let listed: Read<Vec<String>> = Ok(vec!["index.html".into()]);
    let answers = vec![KnownAnswer {
        method: host_method::FILES.into(),
        question: Json::of(&source_files()).unwrap(),
        answer: Json::of(&listed).unwrap(),
    }];
    PrepareRequest {
        answers: Cow::Owned(answers),
        targets: vec![Cow::Owned(target())],
    }
}

fn prepare_answer() -> Vec<TargetAnswer> {
    let planned = |plan| TargetAnswer {
        validate: Answer::Done(Vec::new()),
        plan: Some(plan),
        used: vec![1, 0],
    };
    vec![
        planned(Answer::Done(Outcome::Success(Plan::default()))),
        planned(Answer::Done(Outcome::Failure(Vec::new()))),
        planned(Answer::Panicked {
            message: "index out of bounds".into(),
            place: "src/lib.rs:12".into(),
        }),
        TargetAnswer {
            validate: Answer::Done(diagnostics()),
            plan: None,
            used: Vec::new(),
        },
    ]
}

fn for_target_request() -> TargetQuestion {
    TargetQuestion {
        target: 7,
        used: vec![1, 0],
        method: host_method::FILES.into(),
        question: Json::of(&source_files()).unwrap(),
    }
}

fn run_request() -> RunRequest {
    RunRequest {
        action: Native::new("pack").parameters(json!({ "level": 9 })),
        inputs: "/work/root".into(),
        outputs: "/work/outputs".into(),
        scratch: "/work/scratch".into(),
    }
}

fn native_outcome() -> NativeOutcome {
    let mut outcome = NativeOutcome::quiet().attribute("greet.archive", "entries", "3");
    outcome.diagnostics = diagnostics();
    outcome
}

fn detection() -> Detection {
    Detection {
        name: "site".into(),
        found: "names.txt".into(),
        settings: vec![DetectedSetting {
            key: "name".into(),
            value: json!("world"),
            comment: "the first of names.txt".into(),
        }],
        confidence: 100,
        owns_subdirectories: true,
    }
}

fn process() -> Process {
    Process {
        argv: vec!["cc".into(), "--version".into()],
        working_directory: PathBuf::from("/work/scratch"),
        environment: BTreeMap::from([("LANG".into(), "C".into())]),
        standard_output: Some(PathBuf::from("/work/scratch/version")),
    }
}

/// The triple that this is compiled for is no sample: only that there is one.
#[test]
fn the_triple_is_known() {
    assert_ne!(HOST_TRIPLE, "");
}
