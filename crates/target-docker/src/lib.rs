//! Dockerfile to OCI image.
