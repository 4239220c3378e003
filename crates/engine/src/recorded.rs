//! What a target asks of the project while it validates and plans: written down with the answers,
//! and asked again later, to see whether anything is different now.

use std::cell::RefCell;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use synth_core::{
    FileKind, PlanContext, PlanError, ProjectPath, SourceFiles, Tool, ToolError, ToolRequest,
};

use tokio_util::sync::CancellationToken;

use crate::digest::digest_bytes;
use crate::project::Project;

/// A question to the project.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    Read(ProjectPath),
    Kind(ProjectPath),
    Files(SourceFiles),
    Directories(SourceFiles),
    Link(ProjectPath),
    Tool(ToolRequest),
}

/// A question with the digest of its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    #[serde(rename = "q")]
    pub(crate) question: Question,
    #[serde(rename = "a")]
    pub(crate) answer: String,
}

/// Questions with their answers, in the order they were asked in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Dialogue(Vec<Answered>);

impl Dialogue {
    /// Whether the project gives the same answers now. A later question may rest on an earlier
    /// answer, so nothing is asked after the first that is different.
    pub(crate) fn holds(&self, project: &Project) -> bool {
        self.0
            .iter()
            .all(|answered| answered.question.put(project) == Some(answered.answer.clone()))
    }
}

impl Dialogue {
    /// Every question with its answer.
    pub(crate) fn answers(&self) -> &[Answered] {
        &self.0
    }
}

impl Question {
    /// The path it is about; none when it is about none of the project.
    pub(crate) fn path(&self) -> Option<&ProjectPath> {
        match self {
            Self::Read(path) | Self::Kind(path) | Self::Link(path) => Some(path),
            Self::Files(files) | Self::Directories(files) => Some(&files.root),
            Self::Tool(_) => None,
        }
    }

    /// The same question about another path.
    pub(crate) fn about(&self, path: ProjectPath) -> Self {
        let files = |files: &SourceFiles| SourceFiles {
            root: path.clone(),
            ..files.clone()
        };
        match self {
            Self::Read(_) => Self::Read(path),
            Self::Kind(_) => Self::Kind(path),
            Self::Files(other) => Self::Files(files(other)),
            Self::Directories(other) => Self::Directories(files(other)),
            Self::Link(_) => Self::Link(path),
            Self::Tool(request) => Self::Tool(request.clone()),
        }
    }

    /// The digest of the project's answer.
    pub(crate) fn put(&self, project: &Project) -> Option<String> {
        match self {
            // A file is not read for it where its digest is known, and not kept.
            Self::Read(path) => digest_of(&project.content_digest(path)),
            Self::Kind(path) => digest_of(&project.kind(path)),
            Self::Files(files) => digest_of(&project.files(files)),
            Self::Directories(files) => digest_of(&project.directories(files)),
            Self::Link(path) => digest_of(&project.link(path)),
            Self::Tool(request) => digest_of(&project.tool(request)),
        }
    }
}

/// The digest of an answer; none for one that can't be written down.
fn digest_of<T: Serialize>(answer: &T) -> Option<String> {
    let text = serde_json::to_vec(answer).ok()?;
    Some(digest_bytes(&text).sha256)
}

/// A project that writes down what it is asked.
pub(crate) struct Recorder<'a> {
    project: &'a Project,
    /// The build's: when it is cancelled, nobody waits for the plan.
    cancel: &'a CancellationToken,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    dialogue: Vec<Answered>,
    /// Where each question stands in the dialogue.
    known: HashMap<Question, usize>,
    /// Lists, which are long work, for when they are asked for again: a target's validation and
    /// its plan belong to one look at the project.
    lists: HashMap<Question, Result<Vec<String>, PlanError>>,
    /// Something can't be written down, or was answered in two ways.
    unreliable: bool,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(project: &'a Project, cancel: &'a CancellationToken) -> Self {
        Self {
            project,
            cancel,
            state: RefCell::default(),
        }
    }

    /// Everything that was asked; none when it can't be relied on.
    pub(crate) fn into_dialogue(self) -> Option<Dialogue> {
        self.take().map(Dialogue)
    }

    /// The questions asked so far.
    pub(crate) fn questions(&self) -> Vec<Question> {
        let state = self.state.borrow();
        let dialogue = state.dialogue.iter();
        dialogue.map(|answered| answered.question.clone()).collect()
    }

    /// Everything that was asked so far, and leaves nothing; none when it can't be relied on.
    pub(crate) fn take(&self) -> Option<Vec<Answered>> {
        let state = self.state.take();
        (!state.unreliable).then_some(state.dialogue)
    }

    /// Writes down what was asked in another way, with the digest of its answer.
    pub(crate) fn note(&self, answered: &Answered) {
        let Answered { question, answer } = answered.clone();
        self.keep(question, Some(answer));
    }

    fn list(
        &self,
        question: Question,
        list: impl FnOnce(&Project) -> Result<Vec<String>, PlanError>,
    ) -> Result<Vec<String>, PlanError> {
        if let Some(known) = self.state.borrow().lists.get(&question) {
            return known.clone();
        }
        let answer = list(self.project);
        self.keep(question.clone(), digest_of(&answer));
        let lists = &mut self.state.borrow_mut().lists;
        lists.insert(question, answer.clone());
        answer
    }

    fn keep(&self, question: Question, answer: Option<String>) {
        let state = &mut *self.state.borrow_mut();
        let Some(answer) = answer else {
            state.unreliable = true;
            return;
        };
        if let Some(index) = state.known.get(&question) {
            state.unreliable |= state.dialogue[*index].answer != answer;
            return;
        }
        state.known.insert(question.clone(), state.dialogue.len());
        state.dialogue.push(Answered { question, answer });
    }
}

impl PlanContext for Recorder<'_> {
    fn read(&self, path: &ProjectPath) -> Result<Vec<u8>, PlanError> {
        let answer = self.project.read(path);
        let digest = answer
            .as_ref()
            .map(|bytes| digest_bytes(bytes))
            .map_err(Clone::clone);
        self.keep(Question::Read(path.clone()), digest_of(&digest));
        answer
    }

    fn kind(&self, path: &ProjectPath) -> Result<Option<FileKind>, PlanError> {
        let answer = self.project.kind(path);
        self.keep(Question::Kind(path.clone()), digest_of(&answer));
        answer
    }

    fn files(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        self.list(Question::Files(files.clone()), |project| {
            project.files(files)
        })
    }

    fn directories(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        self.list(Question::Directories(files.clone()), |project| {
            project.directories(files)
        })
    }

    fn link(&self, path: &ProjectPath) -> Result<Option<String>, PlanError> {
        let answer = self.project.link(path);
        self.keep(Question::Link(path.clone()), digest_of(&answer));
        answer
    }

    fn tool(&self, request: &ToolRequest) -> Result<Tool, ToolError> {
        let answer = self.project.tool(request);
        self.keep(Question::Tool(request.clone()), digest_of(&answer));
        answer
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}
