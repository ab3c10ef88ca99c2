//! What the native registry knows of a service beyond its instances.

use crate::balance::Strategy;

/// Settings of a service that change how it is answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    /// How `select` picks.
    pub strategy: Strategy,
    /// 0 to 1: under this healthy share the health filter is lifted. 0: never.
    pub protect_threshold: f64,
}
