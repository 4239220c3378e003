//! `synth schema`.

use synth_engine::{BuildReport, Registry, editor_schema};

use super::{Outcome, print_json};
use crate::arguments::{SchemaArguments, SchemaSubject};
use crate::exit;

pub(crate) fn run(arguments: &SchemaArguments, registry: &Registry) -> Outcome {
    match arguments.subject {
        SchemaSubject::Pipeline => print_json(&editor_schema(registry))?,
        SchemaSubject::Report => print_json(&BuildReport::schema())?,
    }
    Ok(exit::SUCCESS)
}
