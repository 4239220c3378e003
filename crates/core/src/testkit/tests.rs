//! The kit's own tests: pipelines of small target kinds.
