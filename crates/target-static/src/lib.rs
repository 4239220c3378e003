//! Assets to a minified, checked site.
