//! pyproject.toml to wheel and sdist.
