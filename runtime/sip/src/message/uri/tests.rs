//! URIs beside ones that are none.
