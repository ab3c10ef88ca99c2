//! What must not be quoted: a server can say back what it was sent.

use std::collections::VecDeque;
use std::fmt;

use parking_lot::RwLock;
use reqwest::header::{AUTHORIZATION, HeaderMap};

use super::HttpClient;
use crate::spec::Credentials;

/// In place of a secret.
const STARS: &str = "***";
/// Shorter ones cannot be told from other text. Who has one gets no quotations.
const SHORTEST: usize = 4;
/// How many secrets of single calls are kept: tokens are renewed, and an answer may be about an
/// older one.
const RECENT: usize = 8;

/// The secrets of one client: those of its settings and those it sent lately.
pub(super) struct Secrets {
    settled: Vec<Text>,
    recent: RwLock<VecDeque<Text>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STARS)
    }
}

impl Secrets {
    /// The secrets of these credentials and headers.
    pub(super) fn new(credentials: &Credentials, headers: &HeaderMap) -> Self {
        let Credentials { username: _, password, access_token, secret_key } = credentials;
        let given = [password, access_token, secret_key].map(|secret| secret.expose().to_owned());
        let all = given.into_iter().chain(of_headers(headers));
        let settled = all.filter(|secret| !secret.is_empty()).map(|one| Text::new(&one)).collect();
        Self { settled, recent: RwLock::default() }
    }

    /// Learns the secrets of a call that is about to be sent.
    pub(super) fn learn(&self, headers: &HeaderMap) {
        for secret in of_headers(headers) {
            let is = |text: &Text| text.is(&secret);
            if secret.is_empty() || self.settled.iter().any(is) || self.recent.read().iter().any(is)
            {
                continue;
            }
            let mut recent = self.recent.write();
            recent.truncate(RECENT - 1);
            recent.push_front(Text::new(&secret));
        }
    }

    /// The beginning of a server's text, without secrets; nothing of it if that cannot be made
    /// sure.
    pub(super) fn quote(&self, text: &str, most: usize) -> String {
        if self.has_short() { "(not shown)".to_owned() } else { self.cut(text, most) }
    }

    /// The beginning of our own text, without secrets in what it quotes.
    pub(super) fn mask(&self, text: &str, most: usize) -> String {
        if self.has_short() {
            // Quotations stand between these: ours, and those of serde.
            let own = text.split(['"', '`']).next().unwrap_or_default();
            return own.chars().take(most).collect();
        }
        self.cut(text, most)
    }

    // Masks before it cuts, so that no beginning of a secret is left at the end.
    fn cut(&self, text: &str, most: usize) -> String {
        let recent = self.recent.read();
        let secrets: Vec<&Text> = self.settled.iter().chain(recent.iter()).collect();
        let (mut shown, mut count, mut rest) = (String::new(), 0, text);
        while count < most {
            let secret = covered(&secrets, rest);
            if secret > 0 {
                shown.push_str(STARS);
                count += STARS.len();
                rest = rest.get(secret..).unwrap_or_default();
                continue;
            }
            let mut chars = rest.chars();
            let Some(next) = chars.next() else { break };
            shown.push(if next.is_control() { ' ' } else { next });
            count += 1;
            rest = chars.as_str();
        }
        shown
    }

    fn has_short(&self) -> bool {
        self.settled.iter().any(|secret| secret.is_short)
            || self.recent.read().iter().any(|secret| secret.is_short)
    }
}

/// How many bytes at the beginning belong to secrets, which may overlap.
fn covered(secrets: &[&Text], text: &str) -> usize {
    let (mut end, mut from) = (0, 0);
    loop {
        if let Some(rest) = text.get(from..) {
            let longest = secrets.iter().map(|secret| secret.at_start_of(rest)).max();
            match longest.unwrap_or_default() {
                0 => {}
                length => end = end.max(from + length),
            }
        }
        from += 1;
        if from >= end {
            return end;
        }
    }
}

/// What the headers hold that is not to be shown: whole values, and what follows `Basic ` or
/// `Bearer ` in them.
fn of_headers(headers: &HeaderMap) -> impl Iterator<Item = String> + use<'_> {
    let secret =
        headers.iter().filter(|(name, value)| value.is_sensitive() || *name == AUTHORIZATION);
    secret.flat_map(|(_, value)| {
        let value = value.to_str().unwrap_or_default();
        let part = value.split_once(' ').map(|(_, part)| part.trim_matches([' ', '=']));
        [Some(value), part].into_iter().flatten().map(str::to_owned).collect::<Vec<_>>()
    })
}

/// One secret, in every spelling an answer may have it in.
struct Text {
    plain: String,
    others: Vec<String>,
    is_short: bool,
}

impl Text {
    fn new(plain: &str) -> Self {
        let percent = HttpClient::segment(plain);
        let json = serde_json::to_string(plain).unwrap_or_default();
        let debug = format!("{plain:?}");
        let bare = |text: &str| text.get(1..text.len() - 1).unwrap_or_default().to_owned();
        let html = plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let mut others = vec![
            percent.replace("%20", "+"),
            percent,
            bare(&json),
            bare(&debug),
            html.replace('"', "&quot;"),
            html,
        ];
        others.retain(|other| !other.is_empty() && other != plain);
        others.dedup();
        let is_short = plain.chars().count() < SHORTEST;
        Self { plain: plain.to_owned(), others, is_short }
    }

    fn is(&self, plain: &str) -> bool {
        self.plain == plain
    }

    /// The length of the longest spelling that the text begins with, upper and lower case being
    /// one: a server may fold headers, and escapes have both.
    fn at_start_of(&self, text: &str) -> usize {
        let spellings = self.others.iter().chain([&self.plain]);
        let here = spellings.filter(|spelling| {
            let start = text.as_bytes().get(..spelling.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(spelling.as_bytes()))
        });
        here.map(String::len).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;
    use crate::secret::Secret;

    fn secrets(password: &str) -> Secrets {
        let password = Secret::new(password);
        Secrets::new(&Credentials { password, ..Credentials::default() }, &HeaderMap::new())
    }

    fn sent(name: &'static str, value: &str) -> HeaderMap {
        let mut value = HeaderValue::from_str(value).unwrap();
        value.set_sensitive(name != "authorization");
        HeaderMap::from_iter([(HeaderName::from_static(name), value)])
    }

    #[test]
    fn a_secret_is_masked_wherever_it_stands() {
        let secrets = secrets("canary-1");
        assert_eq!(secrets.quote("", 9), "");
        assert_eq!(secrets.quote("canary-1", 99), "***");
        assert_eq!(secrets.quote("é canary-1é Canary-1canary-1", 99), "é ***é ******");
        assert_eq!(secrets.quote("a\nb", 99), "a b");
        assert_eq!(secrets.quote("canary-", 99), "canary-", "not the secret");
    }

    #[test]
    fn what_is_cut_was_masked_before() {
        let secrets = secrets("canary-1");
        for before in 0..12 {
            let text = format!("{}canary-1 and more", "x".repeat(before));
            let shown = secrets.quote(&text, 10);
            assert!(!shown.contains('c'), "{shown}");
            assert_eq!(shown.contains("***"), before < 10, "{shown}");
        }
        let many = "canary-1".repeat(100);
        assert_eq!(secrets.quote(&many, 9), "*********");
    }

    #[test]
    fn spellings_are_one_secret() {
        let secrets = secrets("p\"ss <w>&\\ö/");
        for text in [
            "p\"ss <w>&\\ö/",
            r#"p\"ss <w>&\\ö/"#,
            "p%22ss%20%3Cw%3E%26%5C%C3%B6%2F",
            "p%22ss+%3cw%3e%26%5c%c3%b6%2f",
            "p&quot;ss &lt;w&gt;&amp;\\ö/",
        ] {
            assert_eq!(secrets.quote(text, 99), "***", "{text}");
        }
    }

    #[test]
    fn overlapping_secrets_leave_no_end() {
        let secrets = secrets("abcdef");
        secrets.learn(&sent("accesstoken", "efghij"));
        assert_eq!(secrets.quote("-abcdefghij-", 99), "-***-");
    }

    #[test]
    fn sensitive_headers_are_secrets_and_the_last_ones_are_remembered() {
        let basic = sent("authorization", "Basic dXNlcjpjYW5hcnk=");
        let secrets = Secrets::new(&Credentials::default(), &basic);
        assert_eq!(secrets.quote("got Basic dXNlcjpjYW5hcnk=", 99), "got ***");
        assert_eq!(secrets.quote("got dXNlcjpjYW5hcnk", 99), "got ***");
        let mut plain = HeaderMap::new();
        plain.insert("accept", HeaderValue::from_static("application/json"));
        secrets.learn(&plain);
        assert_eq!(secrets.quote("application/json", 99), "application/json");
        for number in 0..100 {
            secrets.learn(&sent("accesstoken", &format!("token-{number:03}")));
        }
        assert_eq!(secrets.quote("token-099 token-092", 99), "*** ***");
        assert_eq!(secrets.recent.read().len(), RECENT);
        assert!(!format!("{secrets:?}").contains("token"));
    }

    #[test]
    fn a_short_secret_forbids_quotations() {
        let secrets = secrets("abc");
        assert_eq!(secrets.quote("x abc x", 99), "(not shown)");
        let problem = "is not the JSON (invalid type: string \"abc\")";
        assert_eq!(secrets.mask(problem, 99), "is not the JSON (invalid type: string ");
        assert_eq!(secrets.mask("was refused", 99), "was refused");
    }
}
