//! Query parameters, each taken by name; one that nobody takes is an error, since a misspelt
//! filter that is silently ignored answers the wrong question.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use axum::http::Uri;
use hub_registry_core::instance::UnknownWord;
use hub_registry_core::{GroupName, duration};

use crate::catalog::{GroupChoice, InstanceFilter};
use crate::error::{Error, Result};

/// The parameters of a query.
///
/// # Errors
/// It is not UTF-8 in percent-encoding.
pub(super) fn pairs(query: &str) -> Result<Vec<(String, String)>> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let bad = || Error::invalid("query", part, "must be UTF-8, in percent-encoding");
            Ok((decoded(key).ok_or_else(bad)?, decoded(value).ok_or_else(bad)?))
        })
        .collect()
}

/// Undoes `%20` and `+`.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let digits = after.get(..2)?;
                rest = &after[2..];
                let digit = |byte: u8| char::from(byte).to_digit(16);
                (digit(digits[0])? * 16 + digit(digits[1])?) as u8
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The largest page.
pub(super) const MAX_PAGE_SIZE: usize = 1000;
/// The page of who does not say.
pub(super) const PAGE_SIZE: usize = 100;

/// Parameters not taken yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Params {
    pairs: Vec<(String, String)>,
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    /// 1 for the first.
    pub number: usize,
    /// Entries per page.
    pub size: usize,
}

impl Page {
    /// The entries of this page.
    pub(super) fn of<T>(self, all: Vec<T>) -> Vec<T> {
        let skip = (self.number - 1).saturating_mul(self.size);
        all.into_iter().skip(skip).take(self.size).collect()
    }
}

impl Params {
    /// These parameters; those every request may have are taken already.
    #[must_use]
    pub(super) fn new(mut pairs: Vec<(String, String)>) -> Self {
        pairs.retain(|(key, _)| key != "tenantId" && key != "userId");
        Self { pairs }
    }

    /// Those of a request.
    ///
    /// # Errors
    /// They are not UTF-8 in percent-encoding.
    pub(super) fn of(uri: &Uri) -> Result<Self> {
        match uri.query() {
            None | Some("") => Ok(Self::default()),
            Some(query) => Ok(Self::new(pairs(query)?)),
        }
    }

    /// Takes a parameter; given twice, it is an error.
    ///
    /// # Errors
    /// It is there more than once.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<String>> {
        let mut values = self.take_all(name);
        if values.len() > 1 {
            return Err(Error::invalid(name, values.join(", "), "must be given once"));
        }
        Ok(values.pop())
    }

    /// Takes a parameter that may be given several times.
    pub(super) fn take_all(&mut self, name: &str) -> Vec<String> {
        self.pairs.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// Takes a word of an enumeration.
    ///
    /// # Errors
    /// It is not one of its words.
    pub(super) fn word<T: FromStr<Err = UnknownWord>>(&mut self, name: &str) -> Result<Option<T>> {
        let parse = |value: String| {
            value.parse().map_err(|e: UnknownWord| {
                Error::invalid(name, value, &format!("must be one of {}", e.allowed))
            })
        };
        self.take(name)?.map(parse).transpose()
    }

    /// Takes words of an enumeration, given several times or with commas in between.
    ///
    /// # Errors
    /// One is not one of its words.
    pub(super) fn words<T: FromStr<Err = UnknownWord> + PartialEq>(
        &mut self,
        name: &str,
    ) -> Result<Vec<T>> {
        let mut words = Vec::new();
        for text in self.take_all(name) {
            for word in text.split(',') {
                let parsed = word.parse::<T>().map_err(|error| {
                    Error::invalid(name, word, &format!("must be one of {}", error.allowed))
                })?;
                if !words.contains(&parsed) {
                    words.push(parsed);
                }
            }
        }
        Ok(words)
    }

    /// Takes a whole number in this range.
    ///
    /// # Errors
    /// It is none, or out of range.
    pub(super) fn number(&mut self, name: &str, min: i64, max: i64) -> Result<Option<i64>> {
        let Some(value) = self.take(name)? else {
            return Ok(None);
        };
        let number = value.parse::<i64>().ok().filter(|number| (min..=max).contains(number));
        let rule = format!("must be a whole number, {min} to {max}");
        number.map(Some).ok_or_else(|| Error::invalid(name, value, &rule))
    }

    /// Takes a duration of at most `max`.
    ///
    /// # Errors
    /// It is none, or too long.
    pub(super) fn duration(&mut self, name: &str, max: Duration) -> Result<Option<Duration>> {
        let Some(value) = self.take(name)? else {
            return Ok(None);
        };
        let parsed =
            duration::parse(&value).map_err(|rule| Error::invalid(name, value.as_str(), &rule))?;
        if parsed > max {
            let rule = format!("must be at most {}", duration::format(max));
            return Err(Error::invalid(name, value, &rule));
        }
        Ok(Some(parsed))
    }

    /// Takes `true` or `false`; absent is `false`.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool> {
        match self.take(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Error::invalid(name, other, "must be true or false")),
        }
    }

    /// Takes `groupName`.
    ///
    /// # Errors
    /// It is no group name.
    pub(super) fn group(&mut self) -> Result<GroupChoice> {
        match self.take("groupName")? {
            None => Ok(GroupChoice::Unsaid),
            Some(group) if group == "*" => Ok(GroupChoice::All),
            Some(group) => GroupName::parse(&group)
                .map(GroupChoice::Named)
                .map_err(|error| Error::invalid("groupName", error.value, &error.rule)),
        }
    }

    /// Takes everything that filters instances.
    ///
    /// # Errors
    /// One of them breaks its rule.
    pub(super) fn filter(&mut self) -> Result<InstanceFilter> {
        let of_metadata = self.pairs.extract_if(.., |(key, _)| key.starts_with("meta."));
        let meta: BTreeMap<_, _> =
            of_metadata.map(|(key, value)| (key["meta.".len()..].to_owned(), value)).collect();
        Ok(InstanceFilter {
            status: self.word("status")?,
            health: self.word("health")?,
            source: self.take("source")?,
            tags: self.take_all("tag"),
            meta: meta.into_iter().collect(),
            zone: self.take("zone")?,
            host: None,
        })
    }

    /// Takes `page` and `pageSize`.
    ///
    /// # Errors
    /// They are out of range.
    pub(super) fn page(&mut self) -> Result<Page> {
        let number = self.number("page", 1, i64::from(u32::MAX))?.unwrap_or(1);
        let size = self.number("pageSize", 1, MAX_PAGE_SIZE as i64)?;
        Ok(Page { number: number as usize, size: size.map_or(PAGE_SIZE, |size| size as usize) })
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// A parameter nobody took.
    pub(super) fn finish(self) -> Result<()> {
        match self.pairs.into_iter().next() {
            None => Ok(()),
            Some((key, value)) => {
                Err(Error::invalid(&key, value, "is not a parameter of this path"))
            }
        }
    }
}
