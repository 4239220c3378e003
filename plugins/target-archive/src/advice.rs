//! What to do about failures that people meet with archives.

use synth_core::Advice;

/// The first that matches is told.
pub(crate) fn advice() -> Vec<Advice> {
    vec![
        Advice::new(
            "archive.file_size",
            r"(?i)file too large|large_file option has not been set|\bEFBIG\b",
            "the archive, or a file in it, is larger than the format or the system allows",
        )
        .help("write it as `tar.zst` or `tar.gz`, which have no such limit, or leave large files out with `exclude`; `ulimit -f` tells of a limit of the shell"),
        Advice::new(
            "archive.path.long",
            r"(?i)file name too long|path is too long|provided value is too long",
            "a path is longer than the format, or the system, allows",
        )
        .help("put the contents nearer to the top of the archive (`layout`, `root`), or leave them out with `exclude`"),
    ]
}
