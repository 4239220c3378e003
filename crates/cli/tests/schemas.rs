//! The checked-in schemas are those that the types give.
#![expect(
    clippy::expect_used,
    reason = "the helper of a test fails it where it stands"
)]
#![cfg(all(feature = "python", feature = "docker", feature = "static"))]

use std::path::Path;

use serde_json::Value;

/// Compares a checked-in schema with the one generated now; `SYNTH_UPDATE_SCHEMAS=1` writes it.
fn check(name: &str, generated: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../schemas")
        .join(name);
    let text = serde_json::to_string_pretty(generated).expect("a schema is JSON") + "\n";
    if std::env::var_os("SYNTH_UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &text).expect("the schema can be written");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == text,
        "schemas/{name} is not what the types give: \
         run `SYNTH_UPDATE_SCHEMAS=1 cargo test -p synth-cli --test schemas`"
    );
}

#[test]
fn the_schema_of_the_configuration_is_checked_in() {
    check(
        "synth.schema.json",
        &synth_engine::editor_schema(&synth_cli::kinds()),
    );
}

#[test]
fn the_schema_of_the_report_is_checked_in() {
    check("report.schema.json", &synth_cli::BuildReport::schema());
}

#[test]
fn the_schema_of_the_history_is_checked_in() {
    check("history.schema.json", &synth_engine::BuildList::schema());
}

#[test]
fn the_schema_of_the_figures_is_checked_in() {
    check("stats.schema.json", &synth_engine::Stats::schema());
}
