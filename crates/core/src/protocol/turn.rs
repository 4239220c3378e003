//! The plugin's side of targets that are prepared together: their turns one after the other, each
//! with the answers that are known before it asks.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::plugin::{Host, caught, understood};
use super::{Answer, Ask, Json, KnownAnswer, Outcome, PrepareRequest, TargetAnswer};
use super::{TargetQuestion, host_method, reason};
use crate::{BuildTarget, Diagnostic, Message, TargetSpec};

/// Validates and plans targets, each by itself: a panic costs that one.
pub(super) fn prepare(
    kind: &dyn BuildTarget,
    request: &PrepareRequest<'_>,
    host: &dyn Ask,
    place: &dyn Fn() -> String,
) -> Vec<TargetAnswer> {
    let known = Known::new(&request.answers);
    let targets = (0..).zip(&request.targets);
    targets
        .map(|(number, target)| Turn::new(number, &known).take(kind, target, host, place))
        .collect()
}

/// The answers that came with a batch, and where each is.
struct Known<'a> {
    answers: &'a [KnownAnswer],
    places: HashMap<(&'a str, &'a str), u32>,
}

impl<'a> Known<'a> {
    fn new(answers: &'a [KnownAnswer]) -> Self {
        let places = (0..).zip(answers);
        let places = places
            .map(|(place, known)| ((known.method.as_str(), known.question.text()), place))
            .collect();
        Self { answers, places }
    }

    fn find(&self, method: &str, question: &str) -> Option<(u32, &Json)> {
        let place = *self.places.get(&(method, question))?;
        let known = self.answers.get(usize::try_from(place).ok()?)?;
        Some((place, &known.answer))
    }
}

/// One target's turn.
pub(super) struct Turn<'a> {
    target: u32,
    known: &'a Known<'a>,
    /// The known answers that it used.
    used: RefCell<Vec<u32>>,
    /// How many of these the host was told of.
    told: Cell<usize>,
    /// What it asked the host itself, and the answer: a target that is planned asks most of what
    /// it asked while it was validated, and the two belong to one look at the project.
    asked: RefCell<HashMap<(&'static str, String), String>>,
}

impl<'a> Turn<'a> {
    /// Longer answers are asked for again.
    const MOST_BYTES: usize = 64 * 1024;

    fn new(target: u32, known: &'a Known<'a>) -> Self {
        Self {
            target,
            known,
            used: RefCell::default(),
            told: Cell::default(),
            asked: RefCell::default(),
        }
    }

    fn take(
        &self,
        kind: &dyn BuildTarget,
        target: &TargetSpec,
        host: &dyn Ask,
        place: &dyn Fn() -> String,
    ) -> TargetAnswer {
        let context = Host::of_turn(host, self);
        let validate = caught(|| kind.validate(target, &context), place);
        let is_sound = |problems: &Vec<Diagnostic>| !problems.iter().any(Diagnostic::is_error);
        let plan = validate.as_ref().is_ok_and(is_sound).then(|| {
            let plan = caught(|| Outcome::from(kind.plan(target, &context)), place);
            plan.map_or_else(|panicked| panicked, Answer::Done)
        });
        TargetAnswer {
            validate: validate.map_or_else(|panicked| panicked, Answer::Done),
            plan,
            used: self.untold(),
        }
    }

    /// What is asked of the project: known, or asked before, or put to the host. The error says why
    /// there is no usable answer.
    pub(super) fn ask<A>(
        &self,
        host: &dyn Ask,
        method: &'static str,
        question: &impl Serialize,
    ) -> Result<A, String>
    where
        A: for<'de> Deserialize<'de>,
    {
        let question = Json::of(question).map_err(|error| error.to_string())?;
        if let Some((place, answer)) = self.known.find(method, question.text())
            && let Ok(answer) = answer.read()
        {
            self.note(place);
            return Ok(answer);
        }
        let key = (method, question.text().to_owned());
        if let Some(answer) = self.asked.borrow().get(&key) {
            return understood(method, answer);
        }
        let request = TargetQuestion {
            target: self.target,
            used: self.untold(),
            method: method.to_owned(),
            question,
        };
        let request = Message::new(request).to_json();
        let request = request.map_err(|error| reason(&error))?;
        let answer = host.ask(host_method::FOR_TARGET, &request);
        let understood = understood(method, &answer);
        if answer.len() <= Self::MOST_BYTES {
            self.asked.borrow_mut().insert(key, answer);
        }
        understood
    }

    fn note(&self, place: u32) {
        let mut used = self.used.borrow_mut();
        if !used.contains(&place) {
            used.push(place);
        }
    }

    /// The answers used that the host was not told of; now it is.
    fn untold(&self) -> Vec<u32> {
        let used = self.used.borrow();
        let untold = used.get(self.told.replace(used.len())..);
        untold.unwrap_or_default().to_vec()
    }
}
