//! A plan context that remembers what it was asked, and one that answers that and nothing else.

use std::cell::RefCell;

use crate::{
    FileKind, PlanContext, PlanError, ProjectPath, SourceFiles, Tool, ToolError, ToolRequest,
};

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    Read(ProjectPath, Result<Vec<u8>, PlanError>),
    Kind(ProjectPath, Result<Option<FileKind>, PlanError>),
    Files(SourceFiles, Result<Vec<String>, PlanError>),
    Directories(SourceFiles, Result<Vec<String>, PlanError>),
    Link(ProjectPath, Result<Option<String>, PlanError>),
    Tool(ToolRequest, Result<Tool, ToolError>),
}

/// Remembers each question and its answer.
pub(super) struct Recorder<'a> {
    context: &'a dyn PlanContext,
    exchanges: RefCell<Vec<Exchange>>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(context: &'a dyn PlanContext) -> Self {
        Self {
            context,
            exchanges: RefCell::default(),
        }
    }

    /// What was asked, each once.
    pub(super) fn record(self) -> Vec<Exchange> {
        self.exchanges.into_inner()
    }

    fn note(&self, exchange: Exchange) {
        let mut exchanges = self.exchanges.borrow_mut();
        if !exchanges.contains(&exchange) {
            exchanges.push(exchange);
        }
    }
}

impl PlanContext for Recorder<'_> {
    fn read(&self, path: &ProjectPath) -> Result<Vec<u8>, PlanError> {
        let answer = self.context.read(path);
        self.note(Exchange::Read(path.clone(), answer.clone()));
        answer
    }

    fn kind(&self, path: &ProjectPath) -> Result<Option<FileKind>, PlanError> {
        let answer = self.context.kind(path);
        self.note(Exchange::Kind(path.clone(), answer.clone()));
        answer
    }

    fn files(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        let answer = self.context.files(files);
        self.note(Exchange::Files(files.clone(), answer.clone()));
        answer
    }

    fn directories(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        let answer = self.context.directories(files);
        self.note(Exchange::Directories(files.clone(), answer.clone()));
        answer
    }

    fn link(&self, path: &ProjectPath) -> Result<Option<String>, PlanError> {
        let answer = self.context.link(path);
        self.note(Exchange::Link(path.clone(), answer.clone()));
        answer
    }

    fn tool(&self, request: &ToolRequest) -> Result<Tool, ToolError> {
        let answer = self.context.tool(request);
        self.note(Exchange::Tool(request.clone(), answer.clone()));
        answer
    }
}

/// Answers what is on record. Questions that are not are remembered, and refused.
pub(super) struct Replay<'a> {
    exchanges: &'a [Exchange],
    unknown: RefCell<Vec<String>>,
}

impl<'a> Replay<'a> {
    pub(super) fn new(exchanges: &'a [Exchange]) -> Self {
        Self {
            exchanges,
            unknown: RefCell::default(),
        }
    }

    /// Questions that were not on record.
    pub(super) fn unknown(self) -> Vec<String> {
        self.unknown.into_inner()
    }

    fn answer<T>(
        &self,
        question: impl FnOnce() -> String,
        find: impl Fn(&Exchange) -> Option<&Result<T, PlanError>>,
    ) -> Result<T, PlanError>
    where
        T: Clone,
    {
        match self.exchanges.iter().find_map(find) {
            Some(answer) => answer.clone(),
            None => {
                self.unknown.borrow_mut().push(question());
                Err(PlanError::Io {
                    path: ProjectPath::root(),
                    reason: "it was not asked for the first time".into(),
                })
            }
        }
    }
}

impl PlanContext for Replay<'_> {
    fn read(&self, path: &ProjectPath) -> Result<Vec<u8>, PlanError> {
        let question = || format!("read `{path}`");
        self.answer(question, |exchange| match exchange {
            Exchange::Read(known, answer) if known == path => Some(answer),
            _ => None,
        })
    }

    fn kind(&self, path: &ProjectPath) -> Result<Option<FileKind>, PlanError> {
        let question = || format!("looked what is at `{path}`");
        self.answer(question, |exchange| match exchange {
            Exchange::Kind(known, answer) if known == path => Some(answer),
            _ => None,
        })
    }

    fn files(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        let question = || format!("listed files below `{}`", files.root);
        self.answer(question, |exchange| match exchange {
            Exchange::Files(known, answer) if known == files => Some(answer),
            _ => None,
        })
    }

    fn directories(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        let question = || format!("listed directories below `{}`", files.root);
        self.answer(question, |exchange| match exchange {
            Exchange::Directories(known, answer) if known == files => Some(answer),
            _ => None,
        })
    }

    fn link(&self, path: &ProjectPath) -> Result<Option<String>, PlanError> {
        let question = || format!("read the link `{path}`");
        self.answer(question, |exchange| match exchange {
            Exchange::Link(known, answer) if known == path => Some(answer),
            _ => None,
        })
    }

    fn tool(&self, request: &ToolRequest) -> Result<Tool, ToolError> {
        let known = self.exchanges.iter().find_map(|exchange| match exchange {
            Exchange::Tool(known, answer) if known == request => Some(answer),
            _ => None,
        });
        known.cloned().unwrap_or_else(|| {
            let question = format!("looked for the tool `{}`", request.name);
            self.unknown.borrow_mut().push(question);
            Err(ToolError::Missing {
                program: request.program.clone(),
            })
        })
    }
}
