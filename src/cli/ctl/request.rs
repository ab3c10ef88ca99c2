//! From what was said on the command line to a request.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use serde_json::{Map, Value};

use super::failure::Failure;
use super::verb::{Kind, Place, Take, Verb};

/// A request to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    /// The method.
    pub method: &'static str,
    /// The path, its variables filled in.
    pub path: String,
    /// The query.
    pub query: Vec<(String, String)>,
    /// The body, if the verb has one.
    pub body: Option<Value>,
}

/// The request of this verb.
///
/// # Errors
/// A file that cannot be read, a pair without `=`.
pub(super) fn request(verb: &Verb, said: &ArgMatches) -> Result<Request, Failure> {
    let (method, mut path) = (verb.route.0, verb.route.1.to_owned());
    for variable in verb.variables() {
        let value = said.get_one::<String>(variable).map(String::as_str).unwrap_or_default();
        path = path.replace(&format!("{{{variable}}}"), &encoded(value));
    }
    let mut query = Vec::new();
    let file = if verb.has_body() { said.get_one::<PathBuf>("file") } else { None };
    let mut body = match file {
        Some(path) => read(path)?,
        None => Value::Object(Map::new()),
    };
    for take in verb.takes {
        let Some(value) = value(take, said)? else { continue };
        match (take.place, value) {
            (Place::Query, Value::Array(items)) => {
                query.extend(items.iter().map(|item| (take.field.to_owned(), plain(item))));
            }
            (Place::Query, value) => query.push((take.field.to_owned(), plain(&value))),
            (Place::Body, value) => match &mut body {
                Value::Object(fields) => put(fields, take.field, value),
                _ => {
                    let message = format!("--{} does not go with a file of many", take.name);
                    return Err(Failure::Usage(message));
                }
            },
        }
    }
    let body = verb.has_body().then_some(body);
    let mut request = Request { method, path, query, body };
    // Many registrations at once have a route of their own.
    if let (Some(Value::Array(_)), "/api/v1/instances") = (&request.body, &*request.path) {
        request.path.push_str("/batch");
        request.body = request.body.map(|many| serde_json::json!({ "instances": many }));
    }
    Ok(request)
}

/// Puts a value where `a.b` says: as `b` of the object `a`.
fn put(fields: &mut Map<String, Value>, field: &str, value: Value) {
    let Some((outer, inner)) = field.split_once('.') else {
        fields.insert(field.to_owned(), value);
        return;
    };
    let within = fields.entry(outer).or_insert_with(|| Value::Object(Map::new()));
    // What a file says there instead is for the server to refuse.
    if let Value::Object(within) = within {
        put(within, inner, value);
    }
}

fn value(take: &Take, said: &ArgMatches) -> Result<Option<Value>, Failure> {
    let one = || said.get_one::<String>(take.name).cloned();
    let many = || said.get_many::<String>(take.name).into_iter().flatten();
    Ok(match take.kind {
        Kind::Text => one().map(Value::from),
        Kind::Word(words) => {
            let canonical = |word: String| {
                words.iter().find(|known| known.eq_ignore_ascii_case(&word)).copied()
            };
            one().and_then(canonical).map(Value::from)
        }
        Kind::Number => said.get_one::<i64>(take.name).copied().map(Value::from),
        Kind::Switch => said.get_flag(take.name).then_some(Value::Bool(true)),
        Kind::Many => {
            let items: Vec<Value> = many().cloned().map(Value::from).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Kind::Pairs => {
            let mut pairs = Map::new();
            for pair in many() {
                let Some((key, value)) = pair.split_once('=') else {
                    let message = format!("--{} {pair}: must be KEY=VALUE", take.name);
                    return Err(Failure::Usage(message));
                };
                pairs.insert(key.to_owned(), Value::from(value));
            }
            (!pairs.is_empty()).then_some(Value::Object(pairs))
        }
    })
}

/// The largest file taken, in bytes: as much as the server takes of a batch by default.
const MAX_FILE: u64 = 8 << 20;

fn read(path: &Path) -> Result<Value, Failure> {
    let shown = path.display();
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(MAX_FILE).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::Usage(format!("{shown}: {error}")))?;
    let value = serde_json::from_str(&text).or_else(|_| serde_saphyr::from_str::<Value>(&text));
    match value {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => Ok(value),
        Ok(_) => Err(Failure::Usage(format!("{shown}: must hold an object, or a list of them"))),
        Err(error) => Err(Failure::Usage(format!("{shown}: {error}"))),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Percent-encoding of one segment of a path (RFC 3986 2.3: all but the unreserved).
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
