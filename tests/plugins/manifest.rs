//! A manifest in a library's section, written by hand: what `export_target!` does for honest ones.

/// Embeds the text as the library's manifest.
macro_rules! manifest {
    ($text:expr) => {
        const TEXT: &str = $text;

        // SAFETY: the section holds nothing but this.
        #[used]
        #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".synth.manifest"))]
        #[cfg_attr(
            target_vendor = "apple",
            unsafe(link_section = "__DATA,__synth_manifest")
        )]
        static MANIFEST: [u8; TEXT.len()] = {
            let mut bytes = [0; TEXT.len()];
            let mut at = 0;
            while at < bytes.len() {
                bytes[at] = TEXT.as_bytes()[at];
                at += 1;
            }
            bytes
        };
    };
}

/// The text of a manifest of this crate.
macro_rules! manifest_text {
    ($kind:literal, interface = $interface:literal, needs = $needs:literal, triple = $triple:expr) => {
        concat!(
            r#"{"manifest":1,"interface":""#,
            $interface,
            r#"","needs_interface":""#,
            $needs,
            r#"","crate":""#,
            env!("CARGO_PKG_NAME"),
            r#"","version":""#,
            env!("CARGO_PKG_VERSION"),
            r#"","triple":""#,
            $triple,
            r#"","rustc":"rustc 1.95.0","later":[1],"target":{"kind":""#,
            $kind,
            r#"","description":""#,
            env!("CARGO_PKG_DESCRIPTION"),
            r#"","settings_schema":{"type":"object","properties":{}}}}"#
        )
    };
}
