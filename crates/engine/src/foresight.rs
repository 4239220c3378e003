//! What targets of one kind are likely to ask of the project: what those before them asked, each
//! below its own source directory. Answered before it is asked, it costs a plugin no waiting.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;
use synth_core::protocol::{Answer, Ask, HostSide, Json, KnownAnswer, host_method};
use synth_core::{Message, ProjectPath, TargetSpec};
use tokio_util::sync::CancellationToken;

use crate::project::Project;
use crate::recorded::{Answered, Question, Recorder};

/// A kind that asks more of each target asks most of it as ever.
const MOST_TEMPLATES: usize = 256;

/// Longer answers are given to those alone who ask.
const MOST_BYTES: usize = 64 * 1024;

/// What is sent at once; the rest is given to those who ask.
const MOST_BYTES_OF_ALL: usize = 8 * 1024 * 1024;

/// A question of a kind, whichever target asks it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Template {
    question: Question,
    /// Whether the question's path is relative to the target's source directory.
    below_sources: bool,
}

impl Template {
    fn of(question: &Question, source_path: &ProjectPath) -> Self {
        let path = question.path();
        let below = path.and_then(|path| path.strip_prefix(source_path));
        match below.and_then(|below| ProjectPath::parse(below).ok()) {
            Some(below) => Self {
                question: question.about(below),
                below_sources: true,
            },
            None => Self {
                question: question.clone(),
                below_sources: false,
            },
        }
    }

    fn at(&self, source_path: &ProjectPath) -> Option<Question> {
        if !self.below_sources {
            return Some(self.question.clone());
        }
        let path = source_path.join(self.question.path()?.as_str()).ok()?;
        Some(self.question.about(path))
    }
}

/// What targets of a kind are expected to ask.
#[derive(Clone, Default)]
pub(crate) struct Foresight {
    templates: Vec<Template>,
    /// Questions with long answers.
    left_out: HashSet<Template>,
}

/// Questions that may be asked, with the answers of now.
#[derive(Default)]
pub(crate) struct Foreseen {
    /// As a kind is told.
    pub(crate) answers: Vec<KnownAnswer>,
    /// The same, as whoever uses one writes it down.
    pub(crate) answered: Vec<Answered>,
}

impl Foresight {
    /// What most of these targets have asked, the next ones will.
    pub(crate) fn learn(&mut self, asked: &[(&TargetSpec, Vec<Question>)]) {
        let mut counts: HashMap<Template, usize> = HashMap::new();
        let mut in_order = Vec::new();
        for (target, questions) in asked {
            for question in questions {
                let template = Template::of(question, &target.source_path);
                let count = counts.entry(template.clone()).or_default();
                if *count == 0 {
                    in_order.push(template);
                }
                *count += 1;
            }
        }
        in_order.retain(|template| {
            let count = counts.get(template).copied().unwrap_or_default();
            count * 2 > asked.len() && !self.left_out.contains(template)
        });
        in_order.truncate(MOST_TEMPLATES);
        self.templates = in_order;
    }

    /// What these targets are expected to ask, each question once.
    pub(crate) fn answers(
        &mut self,
        targets: &[&TargetSpec],
        project: &Project,
        cancel: &CancellationToken,
    ) -> Foreseen {
        let mut known = HashSet::new();
        let mut questions = Vec::new();
        for target in targets {
            for template in &self.templates {
                if let Some(question) = template.at(&target.source_path)
                    && known.insert(question.clone())
                {
                    questions.push((template, question));
                }
            }
        }
        let answers: Vec<Ahead> = questions
            .par_iter()
            .map(|(_, question)| ahead(question, project, cancel))
            .collect();
        let mut foreseen = Foreseen::default();
        let mut bytes = 0;
        for ((template, _), ahead) in questions.iter().zip(answers) {
            match ahead {
                Ahead::Answer(answer, answered) => {
                    bytes += answer.question.text().len() + answer.answer.text().len();
                    if bytes > MOST_BYTES_OF_ALL {
                        break;
                    }
                    foreseen.answers.push(answer);
                    foreseen.answered.push(answered);
                }
                Ahead::TooLong => {
                    self.left_out.insert((*template).clone());
                }
                Ahead::Nothing => {}
            }
        }
        self.templates
            .retain(|template| !self.left_out.contains(template));
        foreseen
    }
}

/// An answer before its question.
enum Ahead {
    Answer(KnownAnswer, Answered),
    TooLong,
    /// It can't be written down, or is not wanted any more.
    Nothing,
}

/// Answers a question as it is answered when it is asked.
fn ahead(question: &Question, project: &Project, cancel: &CancellationToken) -> Ahead {
    let put = || {
        let (method, argument) = match question {
            Question::Read(path) => (host_method::READ, Json::of(path)),
            Question::Kind(path) => (host_method::KIND, Json::of(path)),
            Question::Files(files) => (host_method::FILES, Json::of(files)),
            Question::Directories(files) => (host_method::DIRECTORIES, Json::of(files)),
            Question::Link(path) => (host_method::LINK, Json::of(path)),
            Question::Tool(request) => (host_method::TOOL, Json::of(request)),
        };
        let argument = argument.ok()?;
        let request = Message::new(&argument).to_json().ok()?;
        let recorder = Recorder::new(project, cancel);
        let answer = HostSide::Plan(&recorder).ask(method, &request);
        let answered = recorder.take()?.pop()?;
        Some((method, argument, answer, answered))
    };
    if cancel.is_cancelled() {
        return Ahead::Nothing;
    }
    let Some((method, question, answer, answered)) = put() else {
        return Ahead::Nothing;
    };
    if answer.len() > MOST_BYTES {
        return Ahead::TooLong;
    }
    match Message::from_json(&answer) {
        Ok(Message {
            body: Answer::Done(answer),
            ..
        }) => {
            let method = method.to_owned();
            let known = KnownAnswer {
                method,
                question,
                answer,
            };
            Ahead::Answer(known, answered)
        }
        _ => Ahead::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use synth_core::{SourceFiles, ToolRequest};

    use super::*;

    #[test]
    fn questions_are_those_of_another_target_below_its_own_sources() {
        let path = |path: &str| ProjectPath::parse(path).unwrap();
        let files = |root| SourceFiles::below(path(root)).include(["*.txt"]);
        let tool = Question::Tool(ToolRequest::named("cc"));
        for (source_path, question, expected) in [
            (
                "a/b",
                Question::Read(path("a/b/x")),
                Question::Read(path("c/x")),
            ),
            (
                "a/b",
                Question::Kind(path("a/b")),
                Question::Kind(path("c")),
            ),
            (
                "a/b",
                Question::Link(path("a/x")),
                Question::Link(path("a/x")),
            ),
            (
                "a/b",
                Question::Kind(path("a/bc")),
                Question::Kind(path("a/bc")),
            ),
            ("", Question::Kind(path("x")), Question::Kind(path("c/x"))),
            (
                "a",
                Question::Files(files("a/b")),
                Question::Files(files("c/b")),
            ),
            (
                "a",
                Question::Directories(files("b")),
                Question::Directories(files("b")),
            ),
            ("a", tool.clone(), tool),
        ] {
            let template = Template::of(&question, &path(source_path));
            assert_eq!(template.at(&path("c")), Some(expected));
            assert_eq!(template.at(&path(source_path)), Some(question));
        }
    }

    #[test]
    fn what_few_have_asked_is_not_expected() {
        let target = |name: &str| TargetSpec::new(name, "k", ProjectPath::parse(name).unwrap());
        let targets = [target("a"), target("b"), target("c")];
        let asked = targets.iter().enumerate().map(|(place, target)| {
            let of = |name| Question::Kind(target.source_path.join(name).unwrap());
            let mut questions = vec![of("all")];
            questions.extend((place > 0).then(|| of("most")));
            questions.extend((place > 1).then(|| of("one")));
            (target, questions)
        });
        let mut foresight = Foresight::default();
        foresight.learn(&asked.collect::<Vec<_>>());
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(directory.path().to_owned());
        let next = target("d");
        let foreseen = foresight.answers(&[&next, &next], &project, &CancellationToken::new());
        let questions = foreseen.answers.iter();
        let questions: Vec<&str> = questions.map(|known| known.question.text()).collect();
        assert_eq!(questions, ["\"d/all\"", "\"d/most\""]);
        assert_eq!(foreseen.answered.len(), 2);
    }
}
