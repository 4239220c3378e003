//! Both sides of the boundary in one process: what goes over it comes back, and nothing unwinds
//! through it. `cargo xtask memcheck` runs these under valgrind.

use abi_stable::library::AbiHeader;
use semver::Version;

use super::*;
use crate::protocol::{Answer, Outcome, host_method, method};
use crate::{
    Diagnostic, Message, Native, NativeOutcome, Plan, PlanContext, ProjectPath, RunContext,
    TargetDescription, TargetSpec,
};

/// Does what the name of its target says.
struct Obedient;

impl BuildTarget for Obedient {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: "obedient".into(),
            crate_name: "synth-target-obedient".into(),
            version: Version::new(1, 0, 0),
            description: "Obeys".into(),
            settings_schema: serde_json::json!({"type": "object"}),
            setting_aliases: Vec::new(),
        }
    }

    fn validate(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Diagnostic> {
        match target.name.as_str() {
            "panic" => panic!("as it was told"),
            "panic-with-a-value" => std::panic::panic_any(1),
            "read" => match context.read_text(&target.source_path) {
                Ok(text) => vec![Diagnostic::warning("obedient.read", text)],
                Err(error) => vec![Diagnostic::error("obedient.unread", error.to_string())],
            },
            _ => Vec::new(),
        }
    }

    fn plan(&self, _: &TargetSpec, _: &dyn PlanContext) -> Result<Plan, Vec<Diagnostic>> {
        Err(vec![Diagnostic::error("obedient.plan", "it has no plan")])
    }

    fn run(&self, _: &Native, _: &dyn RunContext) -> Result<NativeOutcome, Vec<Diagnostic>> {
        Ok(NativeOutcome::quiet())
    }
}

struct Export;

impl Exported for Export {
    fn create() -> Box<dyn BuildTarget> {
        Box::new(Obedient)
    }
}

struct Unmade;

impl Exported for Unmade {
    fn create() -> Box<dyn BuildTarget> {
        panic!("there is none")
    }
}

fn loaded(header: &'static Header) -> Result<LoadedPlugin, AbiError> {
    // SAFETY: a header of this process, which is never unloaded.
    unsafe { LoadedPlugin::from_header(std::ptr::from_ref(header).cast()) }
}

fn obedient() -> LoadedPlugin {
    static HEADER: Header = header::<Export>();
    loaded(&HEADER).unwrap()
}

/// The host of a call that asks nothing.
fn nobody(method: &str, _: &str) -> String {
    panic!("nobody asks `{method}`")
}

fn target(name: &str) -> String {
    let target = TargetSpec::new(name, "obedient", ProjectPath::parse("a.txt").unwrap());
    Message::new(target).to_json().unwrap()
}

fn body<T: for<'de> serde::Deserialize<'de>>(answer: &str) -> Answer<T> {
    Message::from_json(answer).unwrap().body
}

fn problems(plugin: &LoadedPlugin, name: &str, host: &dyn Ask) -> Vec<(String, String)> {
    let answer = plugin.call(method::VALIDATE, &target(name), host);
    let Answer::<Vec<Diagnostic>>::Done(problems) = body(&answer) else {
        panic!("{answer}");
    };
    let problems = problems.into_iter();
    problems
        .map(|problem| (problem.code, problem.message))
        .collect()
}

#[test]
fn questions_and_answers_go_over_the_boundary() {
    let plugin = obedient();
    let described = plugin.call(
        method::DESCRIBE,
        r#"{"interface":"0.2.0","body":null}"#,
        &nobody,
    );
    assert_eq!(body(&described), Answer::Done(Obedient.describe()));
    let planned = plugin.call(method::PLAN, &target("any"), &nobody);
    let Answer::Done(Outcome::<Plan>::Failure(problems)) = body(&planned) else {
        panic!("{planned}");
    };
    assert_eq!(problems[0].code, "obedient.plan");
    assert_eq!(
        body::<()>(&plugin.call("levitate", "", &nobody)),
        Answer::Unknown
    );
    for nonsense in ["", "null", "{}", r#"{"interface":"0.2.0","body":1}"#] {
        let answer = plugin.call(method::VALIDATE, nonsense, &nobody);
        assert!(
            matches!(body::<()>(&answer), Answer::Malformed { .. }),
            "{nonsense}: {answer}"
        );
    }
}

#[test]
fn the_host_is_asked_while_a_call_lasts() {
    let host = |method: &str, request: &str| {
        assert_eq!(method, host_method::READ);
        assert_eq!(request, r#"{"interface":"0.2.0","body":"a.txt"}"#);
        // `text` in Base64.
        r#"{"interface":"0.2.0","body":{"done":{"Ok":"dGV4dA=="}}}"#.to_owned()
    };
    assert_eq!(
        problems(&obedient(), "read", &host),
        [("obedient.read".to_owned(), "text".to_owned())]
    );
}

#[test]
fn a_panic_of_the_plugin_is_its_answer() {
    let plugin = obedient();
    for (name, expected) in [("panic", "as it was told"), ("panic-with-a-value", "")] {
        let answer = plugin.call(method::VALIDATE, &target(name), &nobody);
        let Answer::<()>::Panicked { message, place } = body(&answer) else {
            panic!("{answer}");
        };
        assert_eq!(message, expected);
        let (file, line) = place.rsplit_once(':').unwrap();
        assert!(file.ends_with("abi/tests.rs"), "{place}");
        line.parse::<u32>().unwrap();
    }
    // It is as good as before.
    assert_eq!(problems(&plugin, "any", &nobody), []);
}

#[test]
fn a_panic_of_the_host_is_its_answer() {
    for (host, expected) in [
        (
            &nobody as &dyn Ask,
            "`a.txt` can't be read: synth failed in `read`: nobody asks `read`",
        ),
        (
            &|_: &str, _: &str| String::new(),
            "`a.txt` can't be read: the message is not of the expected shape: \
             EOF while parsing a value at line 1 column 0",
        ),
    ] {
        assert_eq!(
            problems(&obedient(), "read", host),
            [("obedient.unread".to_owned(), expected.to_owned())]
        );
    }
}

#[test]
fn several_threads_call_at_once() {
    let plugin = obedient();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let plugin = &plugin;
            scope.spawn(move || {
                let name = if number % 2 == 0 { "panic" } else { "read" };
                let answer = plugin.call(method::VALIDATE, &target(name), &|_: &str, _: &str| {
                    r#"{"interface":"0.2.0","body":"unknown"}"#.to_owned()
                });
                let panicked = matches!(body::<Vec<Diagnostic>>(&answer), Answer::Panicked { .. });
                assert_eq!(panicked, number % 2 == 0, "{answer}");
            });
        }
    });
}

#[test]
fn a_target_that_is_not_made_is_an_error() {
    static HEADER: Header = header::<Unmade>();
    let error = loaded(&HEADER).err().unwrap().to_string();
    assert_eq!(error, "it failed when it was opened: there is none");
}

#[test]
fn a_header_of_another_abi_is_refused() {
    static OTHER_VERSION: AbiHeader = {
        let mut header = AbiHeader::VALUE;
        header.abi_minor += 1;
        header
    };
    static OTHER_MAGIC: AbiHeader = {
        let mut header = AbiHeader::VALUE;
        header.magic_string = [0; 32];
        header
    };
    for header in [&OTHER_VERSION, &OTHER_MAGIC] {
        // SAFETY: only the beginning of a header is there, but that of another abi_stable: nothing
        // more of it is read.
        let loaded = unsafe { LoadedPlugin::from_header(std::ptr::from_ref(header).cast()) };
        let error = loaded.err().unwrap().to_string();
        assert!(
            error.starts_with("its header is not that of abi_stable 0.11: "),
            "{error}"
        );
    }
}

/// A facade of the same name and version with another method.
#[expect(dead_code, reason = "no library has it")]
mod other {
    use super::super::*;

    #[repr(C)]
    #[derive(StableAbi)]
    #[sabi(kind(Prefix(prefix_ref = Other_Ref, prefix_fields = Other_Prefix)))]
    pub struct Other {
        #[sabi(last_prefix_field)]
        pub create: extern "C" fn(u64) -> u64,
    }

    impl RootModule for Other_Ref {
        abi_stable::declare_root_module_statics! {Other_Ref}

        const BASE_NAME: &'static str = Module_Ref::BASE_NAME;
        const NAME: &'static str = Module_Ref::NAME;
        const VERSION_STRINGS: VersionStrings = Module_Ref::VERSION_STRINGS;
    }

    extern "C" fn construct() -> RootModuleResult {
        RErr(RootModuleError::Unwound)
    }

    pub(super) const fn header() -> Header {
        // SAFETY: `construct` gives nothing.
        unsafe { LibHeader::from_constructor::<Other_Ref>(construct, CheckTypeLayout::Yes) }
    }
}

#[test]
fn another_layout_is_refused() {
    static HEADER: Header = other::header();
    let error = loaded(&HEADER).err().unwrap().to_string();
    assert_eq!(error, "its types are not laid out as this synth's are");
}
