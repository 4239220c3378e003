//! However a kind is asked, by itself or with others, it gives the same plans for the same reasons.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use synth_core::protocol::{self, Answer, Channel, HostSide, RemoteTarget, host_method, method};
use synth_core::{
    Action, BuildTarget, Message, Native, NativeOutcome, Phase, Plan, ProjectPath, RunContext,
    SourceFiles, TargetDescription, ToolRequest,
};
use tempfile::TempDir;

use super::*;
use crate::records::Sort;
use crate::state::State;

/// Plans from what it finds, and does what the target's setting `does` says.
struct Curious;

impl Curious {
    fn does(target: &TargetSpec) -> &str {
        let does = target.settings.get("does").and_then(|does| does.as_str());
        does.unwrap_or_default()
    }
}

impl BuildTarget for Curious {
    fn describe(&self) -> TargetDescription {
        synth_core::TargetDescription::new("curious", "curious", "1.0.0", "", "{}".into())
    }

    fn validate(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Diagnostic> {
        let path = |name: &str| target.source_path.join(name).unwrap();
        match Self::does(target) {
            "panic in validate" => panic!("told to"),
            "err" => return vec![Diagnostic::error("curious.told", "told to")],
            "look elsewhere" => {
                let elsewhere = ProjectPath::parse("elsewhere.txt").unwrap();
                let text = context.read_text(&elsewhere).unwrap_or_default();
                return vec![Diagnostic::warning("curious.elsewhere", text)];
            }
            "look for long" => drop(context.read(&path("long.txt"))),
            "wonder" => {
                let wanted = format!("{}", context.is_cancelled());
                return vec![Diagnostic::warning("curious.cancelled", wanted)];
            }
            _ => {}
        }
        let text = context.read_text(&path("in.txt"));
        let text = text.unwrap_or_else(|error| error.to_string());
        let kind = context.kind(&path("none"));
        vec![Diagnostic::warning(
            "curious.found",
            format!("{text}{kind:?}"),
        )]
    }

    fn plan(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Plan, Vec<Diagnostic>> {
        match Self::does(target) {
            "panic in plan" => panic!("told to"),
            "give no reason" => return Err(Vec::new()),
            _ => {}
        }
        let all = SourceFiles::below(target.source_path.clone());
        let files = context.files(&all.clone().include(["*.txt"])).unwrap();
        let directories = context.directories(&all).unwrap();
        let link = context.link(&target.source_path.join("link").unwrap());
        let text = context.read(&target.source_path.join("in.txt").unwrap());
        let tool = context.tool(&ToolRequest::named("no such tool"));
        let found = format!("{files:?} {directories:?} {link:?} {text:?} {tool:?}");
        Ok(Plan::default().action(Action::new("a", Phase::Build, found, Native::new("f"))))
    }

    fn run(&self, _: &Native, _: &dyn RunContext) -> Result<NativeOutcome, Vec<Diagnostic>> {
        Ok(NativeOutcome::quiet())
    }
}

/// How the other end of the channel behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guest {
    Able,
    /// It is of an interface without batches.
    Old,
    /// It ends whenever it prepares several targets.
    Fragile,
    /// It answers for one target only.
    Forgetful,
    /// It claims to have used what it was not given.
    Lying,
}

/// A kind at the other end of a channel, and what went over it.
struct Loopback {
    guest: Guest,
    batching: Batching,
    calls: Arc<Mutex<Vec<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Channel for Loopback {
    fn call(&self, method: &str, request: &str, host: &HostSide<'_>) -> Result<String, Diagnostic> {
        use protocol::Ask;
        self.calls.lock().unwrap().push(method.to_owned());
        let ask = |method: &str, request: &str| {
            if method != host_method::IS_CANCELLED {
                self.asked.fetch_add(1, Ordering::Relaxed);
            }
            host.ask(method, request)
        };
        let answer = protocol::answer(&Curious, method, request, &ask, &|| "here".into());
        let said = |text: &str| format!(r#"{{"interface":"0.2.0","body":{text}}}"#);
        match self.guest {
            _ if method != method::PREPARE => Ok(answer),
            Guest::Able => Ok(answer),
            Guest::Old => Ok(said("\"unknown\"")),
            Guest::Fragile => Err(Diagnostic::error("plugin.ended", "it has ended")),
            Guest::Forgetful => Ok(said(r#"{"done":[{"validate":{"done":[]}}]}"#)),
            Guest::Lying => Ok(answer.replace("\"used\":[", "\"used\":[4000000000,")),
        }
    }

    fn batching(&self) -> Batching {
        self.batching
    }
}

const WAYS: [Batching; 2] = [Batching::Serial, Batching::Parallel];

/// A project, and how its targets are asked for.
struct Scene {
    directory: TempDir,
    targets: Vec<TargetSpec>,
    calls: Arc<Mutex<Vec<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Scene {
    /// One target for each of these.
    fn new(does: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::write(root.join("elsewhere.txt"), "elsewhere").unwrap();
        let targets = does.iter().enumerate().map(|(number, does)| {
            let source = format!("s/{number}");
            fs::create_dir_all(root.join(&source).join("below")).unwrap();
            let file = |name: &str| root.join(&source).join(name);
            fs::write(file("in.txt"), source.as_bytes()).unwrap();
            fs::write(file("long.txt"), "x".repeat(100_000)).unwrap();
            std::os::unix::fs::symlink("in.txt", file("link")).unwrap();
            let source = ProjectPath::parse(&source).unwrap();
            TargetSpec::new(format!("t{number}"), "curious", source).setting("does", *does)
        });
        Self {
            targets: targets.collect(),
            directory,
            calls: Arc::default(),
            asked: Arc::default(),
        }
    }

    fn linked() -> Kind {
        Kind::new(Arc::new(Curious), Curious.describe(), Some("same".into()))
    }

    fn remote(&self, guest: Guest, batching: Batching) -> Kind {
        let loopback = Loopback {
            guest,
            batching,
            calls: Arc::clone(&self.calls),
            asked: Arc::clone(&self.asked),
        };
        let remote = RemoteTarget::new(loopback, Curious.describe());
        Kind::new(Arc::new(remote), Curious.describe(), Some("same".into()))
    }

    /// What comes of the targets, and what is kept of them.
    fn ask(&self, kind: &Kind, cancel: &CancellationToken) -> (Vec<Outcome>, Kept) {
        let project = Project::at(self.directory.path().canonicalize().unwrap());
        let state = State::open(self.directory.path()).unwrap();
        let cache = PlanCache::new(state.clone(), true);
        let asking = Asking {
            kind,
            project: &project,
            cache: Some(&cache),
            cancel,
        };
        let targets: Vec<&TargetSpec> = self.targets.iter().collect();
        let outcomes = asking.ask(&targets);
        let mut kept = Kept::new();
        for target in &self.targets {
            let Some(record) = state.records().get(Sort::Plan, &target.name) else {
                continue;
            };
            kept.insert(target.name.clone(), String::from_utf8(record).unwrap());
            state.records().remove(Sort::Plan, &target.name).unwrap();
        }
        (outcomes, kept)
    }

    fn told(&self, kind: &Kind) -> (Vec<String>, Kept) {
        let (outcomes, kept) = self.ask(kind, &CancellationToken::new());
        let told = outcomes.into_iter().map(|outcome| format!("{outcome:?}"));
        (told.collect(), kept)
    }

    fn calls(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in self.calls.lock().unwrap().drain(..) {
            *counts.entry(call).or_default() += 1;
        }
        counts
    }
}

/// Records of plans, by their file names.
type Kept = BTreeMap<String, String>;

/// Targets of which most are alike.
fn mixed() -> Vec<&'static str> {
    let mut does = vec![""; 30];
    for (place, odd) in [
        (3, "look elsewhere"),
        (20, "err"),
        (21, "look for long"),
        (25, "give no reason"),
        (26, "wonder"),
    ] {
        does[place] = odd;
    }
    does
}

#[test]
fn however_a_kind_is_asked_the_plans_and_their_reasons_are_the_same() {
    let mut others = mixed();
    others.swap(0, 3);
    let unlike = [
        "look elsewhere",
        "look for long",
        "err",
        "",
        "look for long",
    ]
    .repeat(5);
    for does in [mixed(), others, unlike, vec![""; 2], vec![""], vec![]] {
        let scene = Scene::new(&does);
        let expected = scene.told(&Scene::linked());
        assert_eq!(expected.0.len(), does.len());
        for guest in [
            Guest::Able,
            Guest::Old,
            Guest::Fragile,
            Guest::Forgetful,
            Guest::Lying,
        ] {
            for batching in WAYS {
                let (told, kept) = scene.told(&scene.remote(guest, batching));
                assert_eq!(told, expected.0);
                assert_eq!(kept, expected.1);
            }
        }
    }
}

#[test]
fn targets_that_are_alike_ask_nothing_after_the_first() {
    for batching in WAYS {
        let scene = Scene::new(&[""; 30]);
        scene.told(&scene.remote(Guest::Able, batching));
        let first = 7;
        assert_eq!(scene.asked.load(Ordering::Relaxed), first);
        let calls = scene.calls();
        assert_eq!((calls["validate"], calls["plan"]), (1, 1));
        let most = 2 * rayon::current_num_threads().max(4);
        assert!(calls["prepare"] <= most, "{calls:?}");
    }
}

#[test]
fn one_call_that_fails_is_the_last_of_its_kind() {
    for guest in [Guest::Old, Guest::Fragile, Guest::Lying] {
        let scene = Scene::new(&[""; 20]);
        scene.told(&scene.remote(guest, Batching::Serial));
        let calls = scene.calls();
        assert_eq!((calls["prepare"], calls["plan"]), (1, 20), "{calls:?}");
    }
}

#[test]
fn a_panic_costs_one_target() {
    let mut does = mixed();
    does[1] = "panic in validate";
    does[2] = "panic in plan";
    let scene = Scene::new(&does);
    let remote = scene.remote(Guest::Able, Batching::Parallel);
    let (outcomes, _) = scene.ask(&remote, &CancellationToken::new());
    for (place, method) in [(1, "validate"), (2, "plan")] {
        let problem = outcomes[place].as_ref().unwrap_err().last().unwrap();
        assert_eq!(
            problem.message,
            format!("plugin `curious 1.0.0` panicked in `{method}`")
        );
        assert_eq!(problem.causes, ["told to (at here)"]);
    }
    assert!(outcomes[4].is_ok());
    assert_eq!(scene.calls()["plan"], 1);
}

#[test]
fn who_is_cancelled_asks_and_keeps_nothing_more() {
    let scene = Scene::new(&[""; 20]);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let remote = |batching| scene.remote(Guest::Able, batching);
    for kind in WAYS.map(remote).into_iter().chain([Scene::linked()]) {
        let (outcomes, kept) = scene.ask(&kind, &cancel);
        assert!(outcomes.is_empty(), "{outcomes:?}");
        assert_eq!(kept, Kept::new());
    }
    assert_eq!(scene.calls(), BTreeMap::new());
}

#[test]
fn the_host_knows_which_target_asks() {
    let does = ["", "", "look elsewhere", "look elsewhere"];
    let scene = Scene::new(&does);
    let (_, kept) = scene.told(&scene.remote(Guest::Able, Batching::Serial));
    let asked = kept.values().filter(|record| {
        // What it is told is part of the plan of nobody else.
        record.contains(r#"{"read":"elsewhere.txt"}"#)
    });
    assert_eq!(asked.count(), 2);
}

#[test]
fn a_question_of_no_target_is_refused() {
    let recorders = Vec::new();
    let host = Hosts {
        recorders,
        foreseen: &Foreseen::default(),
        cancel: &CancellationToken::new(),
    };
    let batch = Batch {
        targets: &[],
        answers: &[],
        host: &host,
    };
    for (method, request, refused) in [
        (host_method::READ, "\"a\"", false),
        (
            host_method::FOR_TARGET,
            r#"{"target":0,"method":"read","question":"a"}"#,
            true,
        ),
        (host_method::FOR_TARGET, "{}", true),
    ] {
        use protocol::Ask;
        let request = format!(r#"{{"interface":"0.2.0","body":{request}}}"#);
        let answer = HostSide::Batch(&batch).ask(method, &request);
        let answer = Message::<Answer<()>>::from_json(&answer).unwrap().body;
        assert_eq!(
            matches!(answer, Answer::Malformed { .. }),
            refused,
            "{answer:?}"
        );
    }
}
