//! `sort=`: a list's order, by one of a closed set of fields.

use std::cmp::Ordering;

use super::params::Params;
use crate::error::{Error, Result};

type Compare<T> = fn(&T, &T) -> Ordering;

/// The fields a list can be sorted by, each with its comparison.
pub(super) type Fields<T> = [(&'static str, Compare<T>)];

/// An order of a list; equals stay in the list's own order.
pub(super) struct Sort<T> {
    chosen: Option<(Compare<T>, bool)>,
}

impl<T> Sort<T> {
    /// Takes `sort`: a field, `-field` or `field,desc` for the reverse.
    ///
    /// # Errors
    /// The field is not one of these.
    pub(super) fn take(params: &mut Params, fields: &Fields<T>) -> Result<Self> {
        let Some(value) = params.take("sort")? else {
            return Ok(Self { chosen: None });
        };
        let (name, descending) = match (value.strip_prefix('-'), value.split_once(',')) {
            (Some(name), _) => (name, true),
            (None, Some((name, "desc"))) => (name, true),
            (None, Some((name, "asc"))) => (name, false),
            (None, _) => (&*value, false),
        };
        let found = fields.iter().find(|(field, _)| *field == name);
        let Some((_, compare)) = found else {
            let names: Vec<_> = fields.iter().map(|(field, _)| *field).collect();
            let names = names.join(", ");
            let rule = format!("must be one of {names}; -FIELD or FIELD,desc for the reverse");
            return Err(Error::invalid("sort", value, &rule));
        };
        Ok(Self { chosen: Some((*compare, descending)) })
    }

    /// Puts the list in this order.
    pub(super) fn apply<R: AsRef<T>>(&self, list: &mut [R]) {
        self.apply_by(list, AsRef::as_ref);
    }

    /// The same for a list of things that hold what is compared.
    pub(super) fn apply_by<R>(&self, list: &mut [R], of: impl Fn(&R) -> &T) {
        let Some((compare, descending)) = self.chosen else { return };
        list.sort_by(|a, b| {
            let order = compare(of(a), of(b));
            if descending { order.reverse() } else { order }
        });
    }
}
