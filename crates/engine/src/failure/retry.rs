//! Whether an action that has failed is tried again, and when: what its kind says of it, changed by
//! what the pipeline and the target say.

use std::time::Duration;

use fastrand::Rng;
use synth_core::{
    Action, Diagnostic, Network, Plan, Retry, RetrySettings, TargetSpec, Thousandths,
};
use tokio_util::sync::CancellationToken;

use super::{Failure, compile, troubles};

/// The delay before the second attempt, where it is not said.
const INITIAL_DELAY: Thousandths = Thousandths::new(1_000);
/// The longest delay, where it is not said.
const MAXIMUM_DELAY: Thousandths = Thousandths::new(60_000);
/// By what each delay is longer than the one before, where it is not said.
const MULTIPLIER: Thousandths = Thousandths::new(2_000);
/// The part of a delay that is left to chance, where it is not said.
const JITTER: Thousandths = Thousandths::new(200);

/// How an action is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// How often it is run at the most.
    pub(crate) attempts: u32,
    initial_delay: Thousandths,
    maximum_delay: Thousandths,
    multiplier: Thousandths,
    jitter: Thousandths,
    passing: Passing,
}

/// Which failures pass by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Passing {
    /// All but time-outs.
    every: bool,
    network: bool,
    timeouts: bool,
    exit_codes: Vec<i32>,
    patterns: Vec<String>,
}

impl Policy {
    /// For an action, of what its kind says and what is set. Attempts alone make nothing pass: they
    /// change how often that is tried which its kind, or the settings, take for trouble that passes,
    /// and of an action with a network the trouble that this causes.
    pub(crate) fn of(action: &Action, settings: &RetrySettings) -> Self {
        let kind = &action.retry;
        let is_asked_for = settings.attempts.is_some_and(|attempts| attempts > 1);
        let says_nothing = *kind == Retry::default();
        let passing = Passing {
            every: kind.attempts > 1 && !kind.names_failures(),
            network: kind.network
                || (is_asked_for && says_nothing && action.network == Network::Allowed),
            timeouts: settings.timeouts.unwrap_or(kind.timeouts),
            exit_codes: [kind.exit_codes.as_slice(), &settings.exit_codes].concat(),
            patterns: [kind.patterns.as_slice(), &settings.patterns].concat(),
        };
        let names_failures = settings.timeouts == Some(true)
            || !settings.exit_codes.is_empty()
            || !settings.patterns.is_empty();
        let usual = match (kind.attempts, names_failures) {
            (0 | 1, true) => Retry::ATTEMPTS,
            (attempts, _) => attempts.max(1),
        };
        let attempts = match passing == Passing::default() {
            true => 1,
            false => settings.attempts.unwrap_or(usual),
        };
        Self {
            attempts,
            initial_delay: settings.initial_delay_seconds.unwrap_or(INITIAL_DELAY),
            maximum_delay: settings.maximum_delay_seconds.unwrap_or(MAXIMUM_DELAY),
            multiplier: settings.multiplier.unwrap_or(MULTIPLIER),
            jitter: settings.jitter.unwrap_or(JITTER),
            passing,
        }
    }

    /// Why a failure passes by itself; none when it does not.
    pub(crate) fn reason(&self, failure: &Failure) -> Option<String> {
        let passing = &self.passing;
        if failure.is_not_its_own() {
            return None;
        }
        if failure.is_timeout() {
            return passing.timeouts.then(|| "its time was up".to_owned());
        }
        if let Some(code) = failure.exit_code
            && passing.exit_codes.contains(&code)
        {
            return Some(format!("exit code {code}"));
        }
        let patterns = passing.patterns.iter();
        // A wrong one was told when it was read.
        let mut patterns = patterns.filter_map(|pattern| compile(pattern).ok());
        let said = patterns.find_map(|pattern| {
            let mut lines = failure.lines();
            lines.find(|line| pattern.is_match(line)).map(quoted)
        });
        if said.is_some() {
            return said;
        }
        if passing.network
            && let Some(trouble) = troubles::passing_by_itself(failure)
        {
            return Some(trouble);
        }
        passing.every.then(|| match failure.exit_code {
            Some(code) => format!("exit code {code}"),
            None => "it failed".to_owned(),
        })
    }

    /// How long is waited after an attempt, counted from 1, that failed.
    pub(crate) fn delay(&self, attempt: u32, random: &mut Rng) -> Duration {
        let longest = self.maximum_delay.get();
        let mut delay = self.initial_delay.get();
        for _ in 1..attempt {
            if delay >= longest {
                break;
            }
            delay = part(delay, self.multiplier);
        }
        let delay = delay.min(longest);
        let spread = part(delay, self.jitter).min(delay);
        let most = delay.saturating_add(spread).min(longest);
        Duration::from_millis(random.u64(delay - spread..=most))
    }
}

/// So many thousandths of a number.
fn part(whole: u64, thousandths: Thousandths) -> u64 {
    whole.saturating_mul(thousandths.get()) / 1000
}

/// A line as a person is told it.
fn quoted(line: &str) -> String {
    const MOST_CHARACTERS: usize = 100;
    let line = line.trim();
    match line.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("it said `{}..`", &line[..end]),
        None => format!("it said `{line}`"),
    }
}

/// Waits until the next attempt. Tells whether there is to be one.
pub(crate) async fn wait(delay: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = tokio::time::sleep(delay) => true,
    }
}

/// What is to be said of settings for a target that change nothing.
pub(crate) fn has_no_effect(
    target: &TargetSpec,
    plan: &Plan,
    settings: &RetrySettings,
) -> Option<Diagnostic> {
    let own = target.retry.as_ref()?;
    let is_retried = |action: &Action| Policy::of(action, settings).attempts > 1;
    let is_off = own.attempts == Some(1);
    if is_off || plan.actions.is_empty() || plan.actions.iter().any(is_retried) {
        return None;
    }
    let message = format!(
        "`retry` changes nothing: of no failure of target `{}` it is known that it passes by itself",
        target.name
    );
    let help = "say which do: `exit_codes = [75]`, or `patterns = [\"connection lost\"]` for what is printed";
    let problem = Diagnostic::warning("config.retry.nothing", message).at_setting(["retry"]);
    Some(problem.help(help))
}

#[cfg(test)]
mod tests {
    use synth_core::{Exec, Phase};
    use tokio::time::Instant;

    use super::*;

    fn action(retry: Retry) -> Action {
        Action::new("fetch", Phase::Install, "fetch it", Exec::new(["fetch"])).retry(retry)
    }

    fn failure(exit_code: i32, output: &str) -> Failure {
        let message = format!("`fetch it` failed with exit code {exit_code}");
        Failure {
            action: action(Retry::default()),
            has_network: true,
            exit_code: Some(exit_code),
            diagnostics: vec![Diagnostic::error("install.failed", message)],
            output: output.to_owned(),
        }
    }

    fn settings(text: &str) -> RetrySettings {
        toml::from_str(text).unwrap()
    }

    const LOST: &str = "fetching\ncurl: (6) Could not resolve host: example.org\nmake: *** Error 6";

    /// Attempts, and why the failure passes.
    fn judged(action: &Action, settings: &RetrySettings, failure: &Failure) -> String {
        let policy = Policy::of(action, settings);
        let reason = policy.reason(failure);
        format!("{}: {}", policy.attempts, reason.unwrap_or_default())
    }

    #[test]
    fn only_failures_that_pass_are_tried_again() {
        let once = Retry::default;
        let compile_error = failure(1, "main.c:1:5: error: expected `;`");
        for (retry, set, failure, expected) in [
            (once(), "", failure(1, LOST), "1: "),
            (once(), "attempts = 5", compile_error.clone(), "1: "),
            (Retry::attempts(4), "", failure(1, ""), "4: exit code 1"),
            (Retry::of_network(), "", compile_error.clone(), "3: "),
            (
                Retry::of_network(),
                "",
                failure(1, LOST),
                "3: the name `example.org` was not found",
            ),
            (
                Retry::of_network(),
                "attempts = 1",
                failure(1, LOST),
                "1: the name `example.org` was not found",
            ),
            (
                Retry::of_network(),
                "attempts = 7",
                compile_error.clone(),
                "7: ",
            ),
            (
                once(),
                "exit_codes = [75]",
                failure(75, ""),
                "3: exit code 75",
            ),
            (once(), "exit_codes = [75]", failure(1, ""), "3: "),
            (
                Retry::attempts(2).exit_code(9),
                "patterns = ['E50\\d']",
                failure(1, "got E503 \nbye"),
                "2: it said `got E503`",
            ),
        ] {
            let said = judged(&action(retry.clone()), &settings(set), &failure);
            assert_eq!(said, expected, "{retry:?} {set}");
        }
    }

    #[test]
    fn trouble_that_a_program_got_over_is_not_what_it_failed_for() {
        let warning = "WARNING: Retrying (Retry(total=4)) after connection broken by \
                       'ReadTimeoutError(\"Read timed out\")'";
        let many = "Downloading\n".repeat(80);
        for (output, passes) in [
            (warning.to_owned(), true),
            (
                format!("{warning}\nERROR: No matching distribution found for a"),
                true,
            ),
            (
                format!("{warning}\nERROR: ResolutionImpossible: for help visit .."),
                false,
            ),
            (format!("{warning}\n{many}exit"), false),
            (
                format!("{warning}\na.c:1:5: error: expected `;`\nmake: *** [a.o] Error 1"),
                false,
            ),
            (
                format!("a.c:1:5: error: expected `;`\n{many}{warning}"),
                true,
            ),
            (
                "a.c:1:5: error: duplicate case\n  12 |   case ECONNREFUSED:\n     |   ^~~~"
                    .to_owned(),
                false,
            ),
            (
                "npm error code ERESOLVE\nnpm error ERESOLVE unable to resolve\n\
                 npm error network timeout at: https://a: ETIMEDOUT"
                    .to_owned(),
                false,
            ),
        ] {
            let network = action(Retry::of_network());
            let reason = Policy::of(&network, &settings("")).reason(&failure(1, &output));
            assert_eq!(reason.is_some(), passes, "{output}");
        }
    }

    #[test]
    fn the_network_of_an_action_passes_where_retries_are_asked_for() {
        let silent = action(Retry::default()).with_network();
        let judged = |set: &str| judged(&silent, &settings(set), &failure(1, LOST));
        assert_eq!(judged(""), "1: ");
        assert_eq!(
            judged("attempts = 2"),
            "2: the name `example.org` was not found"
        );
    }

    #[test]
    fn timeouts_and_faults_of_others_pass_only_where_that_is_said() {
        let with = |code: &str, concern| {
            let mut failure = failure(1, LOST);
            failure.exit_code = None;
            failure.diagnostics = vec![Diagnostic::error(code, "no").concerning(concern)];
            failure
        };
        let timeout = with("install.timeout", synth_core::Concern::Project);
        let full = with("store.write", synth_core::Concern::State);
        let crashed = with("plugin.crashed", synth_core::Concern::Internal);
        let network = action(Retry::of_network());
        for (set, failure, expected) in [
            ("", &timeout, "3: "),
            ("timeouts = true", &timeout, "3: its time was up"),
            ("", &full, "3: "),
            ("", &crashed, "3: "),
        ] {
            assert_eq!(judged(&network, &settings(set), failure), expected);
        }
    }

    #[test]
    fn delays_grow_to_their_limit_and_are_spread_by_chance() {
        let policy = |set: &str| Policy::of(&action(Retry::attempts(9)), &settings(set));
        let delays = |policy: &Policy, seed: u64| -> Vec<u128> {
            let mut random = Rng::with_seed(seed);
            let delay = |attempt| policy.delay(attempt, &mut random).as_millis();
            (1..=8).map(delay).collect()
        };
        let exact = policy("jitter = 0");
        let expected = [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000];
        assert_eq!(delays(&exact, 1), expected);
        let own = "jitter = 0\ninitial_delay_seconds = 0.1\nmultiplier = 1.5\nmaximum_delay_seconds = 0.4";
        assert_eq!(
            delays(&policy(own), 1),
            [100, 150, 225, 337, 400, 400, 400, 400]
        );
        let spread = policy("jitter = 0.5");
        for seed in 0..100 {
            for (delay, middle) in delays(&spread, seed).into_iter().zip(expected) {
                let most = (middle * 3 / 2).min(60_000);
                assert!((middle / 2..=most).contains(&delay), "{delay} of {middle}");
            }
        }
        assert_ne!(delays(&spread, 1), delays(&spread, 2));
        assert_eq!(delays(&spread, 1), delays(&spread, 1));
        // The largest that a configuration can ask for.
        let largest = policy(
            "multiplier = 100\ninitial_delay_seconds = 86400\nmaximum_delay_seconds = 86400",
        );
        assert!(
            delays(&largest, 1)
                .into_iter()
                .all(|delay| delay <= 86_400_000)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_as_long_as_it_says() {
        let stop = CancellationToken::new();
        let begun = Instant::now();
        assert!(wait(Duration::from_secs(60), &stop).await);
        assert_eq!(begun.elapsed(), Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_build_that_is_stopped_waits_no_longer() {
        let stop = CancellationToken::new();
        let begun = Instant::now();
        let stopping = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            stop.cancel();
        };
        let (goes_on, ()) = tokio::join!(wait(Duration::from_secs(3600), &stop), stopping);
        assert!(!goes_on);
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        assert!(!wait(Duration::ZERO, &stop).await, "nor begins to");
    }
}
