//! Words of an expression, as go-bexpr's grammar has them (`grammar.peg`).

use std::iter::Peekable;
use std::str::CharIndices;

/// A word of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Names with dots between them, or a key word. What follows a key in brackets begins with its dot.
    Word(String),
    Number(String),
    /// What stood in quotes.
    Quoted(String),
    Open,
    Close,
    OpenKey,
    CloseKey,
    Equal,
    NotEqual,
}

/// A word in its place.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// Where it begins, in bytes.
    pub(super) at: usize,
    /// Whether there is space before it.
    pub(super) spaced: bool,
    pub(super) token: Token,
}

type Rest<'t> = Peekable<CharIndices<'t>>;

/// The words.
///
/// # Errors
/// What is none, and where.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, String> {
    let mut tokens: Vec<Placed> = Vec::new();
    let mut rest = text.char_indices().peekable();
    let mut spaced = false;
    while let Some((at, c)) = rest.next() {
        let after_key = tokens.last().is_some_and(|last| last.token == Token::CloseKey) && !spaced;
        let token = match c {
            ' ' | '\t' | '\r' | '\n' => {
                spaced = true;
                continue;
            }
            '(' => Token::Open,
            ')' => Token::Close,
            '[' => Token::OpenKey,
            ']' => Token::CloseKey,
            '=' | '!' => match rest.next() {
                Some((_, '=')) if c == '=' => Token::Equal,
                Some((_, '=')) => Token::NotEqual,
                _ => return Err(format!("{c:?} at {at} is no operator")),
            },
            '"' | '`' => quoted(at, c, &mut rest)?,
            '-' | '0'..='9' => number(at, c, &mut rest)?,
            'a'..='z' | 'A'..='Z' => word(at, c, &mut rest)?,
            '.' if after_key => word(at, c, &mut rest)?,
            _ => return Err(format!("{c:?} at {at} begins no word")),
        };
        tokens.push(Placed { at, spaced, token });
        spaced = false;
    }
    Ok(tokens)
}

fn word(at: usize, first: char, rest: &mut Rest<'_>) -> Result<Token, String> {
    let mut word = String::from(first);
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    while let Some((_, c)) = rest.next_if(|(_, c)| is_inner(*c)) {
        // Each name begins with a letter.
        if word.ends_with('.') && !c.is_ascii_alphabetic() {
            return Err(format!("{word:?} at {at} goes on with {c:?}"));
        }
        word.push(c);
    }
    if word.ends_with('.') {
        return Err(format!("{word:?} at {at} ends with its dot"));
    }
    Ok(Token::Word(word))
}

fn number(at: usize, first: char, rest: &mut Rest<'_>) -> Result<Token, String> {
    let mut text = String::from(first);
    while let Some((_, c)) = rest.next_if(|(_, c)| !" \t\r\n)".contains(*c)) {
        text.push(c);
    }
    let (whole, part) = text.split_once('.').unwrap_or((&text, "0"));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(whole) && digits(part) && (whole == "0" || !whole.starts_with('0')) {
        return Ok(Token::Number(text));
    }
    Err(format!("{text:?} at {at} is no number"))
}

/// A quote ends a text in quotes also behind a backslash; what is between them is read as Go does
/// (`strconv.Unquote`).
fn quoted(at: usize, quote: char, rest: &mut Rest<'_>) -> Result<Token, String> {
    let mut text = String::new();
    loop {
        match rest.next() {
            None => return Err(format!("the quote at {at} does not end")),
            Some((_, end)) if end == quote => break,
            Some((_, other)) => text.push(other),
        }
    }
    if quote == '`' {
        return Ok(Token::Quoted(text.replace('\r', "")));
    }
    let unquoted = unquoted(&text).ok_or_else(|| format!("what is quoted at {at} is no text"))?;
    Ok(Token::Quoted(unquoted))
}

fn unquoted(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\n' => return None,
            '\\' => escaped(&mut rest, &mut bytes)?,
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What stands behind a backslash: a byte, or a character.
fn escaped(rest: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) -> Option<()> {
    let first = rest.next()?;
    let mut digits = |count: usize, radix: u32, from: u32| {
        (0..count).try_fold(from, |sum, _| Some(sum * radix + rest.next()?.to_digit(radix)?))
    };
    let byte = match first {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        'x' => u8::try_from(digits(2, 16, 0)?).ok()?,
        '0'..='7' => u8::try_from(digits(2, 8, first.to_digit(8)?)?).ok()?,
        'u' | 'U' => {
            let c = char::from_u32(digits(if first == 'u' { 4 } else { 8 }, 16, 0)?)?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(());
        }
        _ => return None,
    };
    bytes.push(byte);
    Some(())
}
