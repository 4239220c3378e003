//! Reading a Dockerfile. `lines` makes logical lines, `parser` stages of instructions, and
//! `substitution` replaces variables when the time has come.

mod arguments;
mod copy_arguments;
mod instruction;
mod lines;
mod parser;
mod source;
mod substitution;
mod words;

pub(crate) use instruction::{
    CommandLine, Copy, CopySource, Dockerfile, Healthcheck as HealthcheckArguments, Instruction,
    Run, Stage, Statement,
};
pub(crate) use lines::Heredoc;
pub(crate) use parser::parse;
pub(crate) use source::SourceText;
pub(crate) use substitution::{Expanded, Variables, expand, expand_only};
