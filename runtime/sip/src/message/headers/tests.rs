//! Headers, field by field.
