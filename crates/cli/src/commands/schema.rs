//! `synth schema`.

use synth_engine::plugin::Survey;
use synth_engine::{BuildList, BuildReport, Registry, Stats, editor_schema};

use super::{Outcome, directory, plugin_options, print_json};
use crate::arguments::{Global, SchemaArguments, SchemaSubject};
use crate::exit;

pub(crate) fn run(global: &Global, arguments: &SchemaArguments, linked: &Registry) -> Outcome {
    match arguments.subject {
        SchemaSubject::Pipeline => {
            let directory = directory(global)?;
            let options = plugin_options(global, &directory)?;
            let config = global.config.as_deref();
            let (plugins, _) = Survey::of_directory(&directory, config, &options)?;
            print_json(&editor_schema(&plugins.registry(linked)))?;
        }
        SchemaSubject::Report => print_json(&BuildReport::schema())?,
        SchemaSubject::History => print_json(&BuildList::schema())?,
        SchemaSubject::Stats => print_json(&Stats::schema())?,
    }
    Ok(exit::SUCCESS)
}
