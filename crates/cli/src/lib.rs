//! The synth command as a library.
