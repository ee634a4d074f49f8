//! Somebody hangs up while something else happens.
