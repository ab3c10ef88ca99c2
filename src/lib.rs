//! Hub Registry.
