//! What a site's author sees: built sites, plans and diagnostics, through the target's interface.

mod commands;
mod links;
mod native;
mod pipeline;
mod settings;
