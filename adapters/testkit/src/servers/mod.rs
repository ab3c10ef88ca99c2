//! Finder and starter of the real registries.
