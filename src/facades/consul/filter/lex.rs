//! Words of an expression.

/// A word of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, a number or a key word.
    Word(String),
    /// What stood in quotes.
    Quoted(String),
    Open,
    Close,
    OpenKey,
    CloseKey,
    Equal,
    NotEqual,
}

/// The words, each with the place at which it begins.
///
/// # Errors
/// What is none, and where.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '[' => Token::OpenKey,
            ']' => Token::CloseKey,
            '=' | '!' => match rest.next() {
                Some((_, '=')) if c == '=' => Token::Equal,
                Some((_, '=')) => Token::NotEqual,
                _ => return Err(format!("{c:?} at {at} is no operator")),
            },
            '"' | '`' => {
                let mut quoted = String::new();
                loop {
                    match rest.next() {
                        None => return Err(format!("the quote at {at} does not end")),
                        Some((_, end)) if end == c => break,
                        Some((_, '\\')) if c == '"' => {
                            quoted.extend(rest.next().map(|(_, escaped)| escaped));
                        }
                        Some((_, other)) => quoted.push(other),
                    }
                }
                Token::Quoted(quoted)
            }
            c => {
                let mut word = String::from(c);
                let ends = |c: char| c.is_whitespace() || "()[]=!\"`".contains(c);
                while let Some((_, c)) = rest.next_if(|(_, c)| !ends(*c)) {
                    word.push(c);
                }
                Token::Word(word)
            }
        };
        tokens.push((at, token));
    }
    Ok(tokens)
}
