//! From words to an expression.

use regex::RegexBuilder;

use super::lex::{Placed, Token, tokens};
use super::{Expression, Test};

/// The longest expression, in bytes, and the deepest.
const MAX_LEN: usize = 8192;
const MAX_DEPTH: usize = 50;
/// The most patterns, and the largest program one may become, in bytes: they are kept while a query
/// waits.
const MAX_PATTERNS: usize = 4;
const MAX_PATTERN: usize = 64 << 10;

/// Reads an expression.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    if text.len() > MAX_LEN {
        return Err(format!("must be at most {MAX_LEN} bytes"));
    }
    let mut words = Words { tokens: tokens(text)?, next: 0, depth: 0, patterns: 0 };
    let filter = words.either()?;
    match words.peek() {
        None => Ok(filter),
        Some(_) => Err(words.expected("and, or, or the end")),
    }
}

struct Words {
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
    patterns: usize,
}

impl Words {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|placed| &placed.token)
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        let placed = self.tokens.get(self.next + ahead);
        matches!(placed, Some(Placed { token: Token::Word(text), .. }) if text == word)
    }

    fn is_spaced(&self, ahead: usize) -> bool {
        self.tokens.get(self.next + ahead).is_some_and(|placed| placed.spaced)
    }

    /// Key words that come next, each with space around it; none is needed after the last of them if
    /// that is `empty`.
    fn take(&mut self, words: &[&str]) -> bool {
        let there = words.iter().enumerate();
        let found = there.clone().all(|(ahead, word)| self.is_word(ahead, word));
        let ends = words.last() == Some(&"empty");
        let around = if ends { words.len() } else { words.len() + 1 };
        let found = found && (0..around).all(|ahead| self.is_spaced(ahead));
        if found {
            self.next += words.len();
        }
        found
    }

    fn expected(&self, what: &str) -> String {
        match self.tokens.get(self.next) {
            Some(Placed { at, .. }) => format!("expected {what} at {at}"),
            None => format!("expected {what} at the end"),
        }
    }

    fn either(&mut self) -> Result<Expression, String> {
        let mut filter = self.both()?;
        while self.take(&["or"]) {
            filter = Expression::Or(Box::new(filter), Box::new(self.both()?));
        }
        Ok(filter)
    }

    fn both(&mut self) -> Result<Expression, String> {
        let mut filter = self.one()?;
        while self.take(&["and"]) {
            filter = Expression::And(Box::new(filter), Box::new(self.one()?));
        }
        Ok(filter)
    }

    fn one(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("must be at most {MAX_DEPTH} deep"));
        }
        let filter = if self.is_word(0, "not") && self.is_spaced(1) {
            self.next += 1;
            Expression::Not(Box::new(self.one()?))
        } else if self.peek() == Some(&Token::Open) {
            self.next += 1;
            let inner = self.either()?;
            if self.peek() != Some(&Token::Close) {
                return Err(self.expected(")"));
            }
            self.next += 1;
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn test(&mut self) -> Result<Expression, String> {
        // `VALUE in SELECTOR` begins with a value.
        let is_in = self.is_word(1, "in") || (self.is_word(1, "not") && self.is_word(2, "in"));
        if is_in {
            let value = self.value()?;
            let negated = self.take(&["not", "in"]);
            if !negated && !self.take(&["in"]) {
                return Err(self.expected("space around in"));
            }
            let path = self.selector()?;
            return Ok(Expression::Match(path, Test::Holds(value), negated));
        }
        let path = self.selector()?;
        let (test, negated) = match self.peek().cloned() {
            Some(Token::Equal) => (Test::Equals(self.after(1)?), false),
            Some(Token::NotEqual) => (Test::Equals(self.after(1)?), true),
            _ if self.take(&["is", "not", "empty"]) => (Test::IsEmpty, true),
            _ if self.take(&["is", "empty"]) => (Test::IsEmpty, false),
            _ if self.take(&["not", "contains"]) => (Test::Holds(self.value()?), true),
            _ if self.take(&["contains"]) => (Test::Holds(self.value()?), false),
            _ if self.take(&["not", "matches"]) => (self.pattern()?, true),
            _ if self.take(&["matches"]) => (self.pattern()?, false),
            // Consul 1.8 takes no boolean for itself, as later ones do.
            _ => return Err(self.expected("an operator")),
        };
        Ok(Expression::Match(path, test, negated))
    }

    fn after(&mut self, count: usize) -> Result<String, String> {
        self.next += count;
        self.value()
    }

    fn value(&mut self) -> Result<String, String> {
        match self.peek() {
            Some(Token::Word(text) | Token::Number(text) | Token::Quoted(text)) => {
                let text = text.clone();
                self.next += 1;
                Ok(text)
            }
            _ => Err(self.expected("a value")),
        }
    }

    fn pattern(&mut self) -> Result<Test, String> {
        let text = self.value()?;
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            return Err(format!("must have at most {MAX_PATTERNS} patterns"));
        }
        let limited = |builder: &mut RegexBuilder| {
            builder.size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN).build()
        };
        let pattern = limited(&mut RegexBuilder::new(&text));
        pattern
            .map(Test::Matches)
            .map_err(|_| "matches takes a small regular expression".to_owned())
    }

    fn selector(&mut self) -> Result<Vec<String>, String> {
        let Some(Token::Word(word)) = self.peek() else { return Err(self.expected("a field")) };
        let mut path: Vec<_> = word.split('.').map(str::to_owned).collect();
        self.next += 1;
        while self.peek() == Some(&Token::OpenKey) && !self.is_spaced(0) {
            self.next += 1;
            let Some(Token::Quoted(key)) = self.peek() else { return Err(self.expected("a key")) };
            path.push(key.clone());
            self.next += 1;
            if self.peek() != Some(&Token::CloseKey) {
                return Err(self.expected("]"));
            }
            self.next += 1;
            // What follows a key begins with its dot.
            if let Some(Token::Word(word)) = self.peek()
                && let Some(more) = word.strip_prefix('.')
            {
                path.extend(more.split('.').map(str::to_owned));
                self.next += 1;
            }
        }
        Ok(path)
    }
}
