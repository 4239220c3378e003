//! One target kind that breaks it for each promise, and what is said to its author.
