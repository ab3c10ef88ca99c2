//! What a verb is: a route of the API, the options that become its parameters, and what of the
//! answer is shown. Parser and request are both made from it.

/// What is spoken of.
#[derive(Debug)]
pub(super) struct Noun {
    /// Its word.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// What can be done.
    pub verbs: &'static [Verb],
}

/// A verb of a noun.
#[derive(Debug)]
pub(super) struct Verb {
    /// Its word.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// The method and the path; the names in braces are arguments.
    pub route: (&'static str, &'static str),
    /// Its options.
    pub takes: &'static [Take],
    /// What of the answer is shown to people.
    pub shows: Shows,
    /// How it is watched.
    pub watched: Watched,
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Take {
    /// Its word, as `weight` of `--weight`.
    pub name: &'static str,
    /// The parameter or field it becomes.
    pub field: &'static str,
    /// Where it goes.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
    /// Whether it must be there, unless a file says it.
    pub required: bool,
    /// What it means.
    pub help: &'static str,
}

/// Where an option goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Into the query.
    Query,
    /// Into the body.
    Body,
}

/// What an option is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// There or not.
    Switch,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Text, several times: a list.
    Many,
    /// `KEY=VALUE`, several times: an object.
    Pairs,
}

/// What is shown to people.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shows {
    /// A row per entry of this list: titles, and where the values are.
    Rows(&'static str, &'static [(&'static str, &'static str)]),
    /// How far it has come, and the same of its parts.
    Progress(&'static str, &'static [(&'static str, &'static str)]),
    /// Every field of the answer.
    Fields,
    /// The sentence of the answer.
    Message,
}

/// How a verb is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// Not at all.
    No,
    /// By asking again whether it changed.
    Asking,
    /// By a question that is answered when it changed.
    Waiting,
    /// By the stream of events.
    Following,
}

/// An option that goes into the query.
pub(super) const fn query(
    name: &'static str,
    field: &'static str,
    kind: Kind,
    help: &'static str,
) -> Take {
    Take { name, field, place: Place::Query, kind, required: false, help }
}

/// An option that goes into the body.
pub(super) const fn body(
    name: &'static str,
    field: &'static str,
    kind: Kind,
    help: &'static str,
) -> Take {
    Take { name, field, place: Place::Body, kind, required: false, help }
}

/// The same, and it must be said.
pub(super) const fn must(take: Take) -> Take {
    Take { required: true, ..take }
}

impl Noun {
    /// The verb that need not be said: it is called as the noun.
    pub(super) fn only_verb(&self) -> Option<&'static Verb> {
        self.verbs.iter().find(|verb| verb.name == self.name)
    }
}

impl Verb {
    /// The names in braces, in their order.
    pub(super) fn variables(&self) -> impl Iterator<Item = &'static str> {
        self.route.1.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Whether it sends a body.
    pub(super) fn has_body(&self) -> bool {
        self.takes.iter().any(|take| take.place == Place::Body)
    }
}

/// `--group` of one thing.
pub(super) const GROUP: Take = query("group", "groupName", Kind::Text, "The group it is in");
/// `--group` of many.
pub(super) const GROUPS: Take =
    query("group", "groupName", Kind::Text, "Only this group; * is all of them");
/// `--name` of lists.
pub(super) const NAME: Take = query("name", "name", Kind::Text, "Only names that match this glob");
/// `--source` of lists.
pub(super) const SOURCE: Take =
    query("source", "source", Kind::Text, "Only what this source knows");
/// `--sort` of lists.
pub(super) const SORT: Take =
    query("sort", "sort", Kind::Text, "By this field; FIELD,desc for the reverse");
/// `--page` of lists.
pub(super) const PAGE: Take = query("page", "page", Kind::Number, "Which page, from 1");
/// `--page-size` of lists.
pub(super) const PAGE_SIZE: Take =
    query("page-size", "pageSize", Kind::Number, "Entries of a page, up to 1000 [default: 100]");
/// `--status` of instances.
pub(super) const STATUS: Take =
    query("status", "status", Kind::Word(STATUSES), "Only instances of this status");
/// `--health` of instances.
pub(super) const HEALTH: Take =
    query("health", "health", Kind::Word(HEALTHS), "Only instances of this health");
/// `--tag` of instances.
pub(super) const TAG: Take =
    query("tag", "tag", Kind::Many, "Only instances with this tag; may be given several times");
/// `--force`
pub(super) const FORCE: Take =
    query("force", "force", Kind::Switch, "Also if something is in it, and that with it");

/// What an instance may say of itself.
pub(super) const STATUSES: &[&str] = &["UP", "DOWN", "STARTING", "OUT_OF_SERVICE"];
/// What checks may say of it.
pub(super) const HEALTHS: &[&str] = &["HEALTHY", "UNHEALTHY", "UNKNOWN"];
/// How to speak to an instance.
pub(super) const PROTOCOLS: &[&str] = &["HTTP", "HTTPS", "TCP", "UDP", "GRPC"];
/// The orders of instances.
pub(super) const STRATEGIES: &[&str] = &[
    "ROUND_ROBIN",
    "WEIGHTED_ROUND_ROBIN",
    "RANDOM",
    "WEIGHTED_RANDOM",
    "LEAST_CONNECTIONS",
    "IP_HASH",
    "CONSISTENT_HASH",
    "ZONE_AFFINITY",
];
