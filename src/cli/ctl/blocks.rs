//! Server-sent events, read from bytes.

use super::failure::Failure;

/// The longest block that is taken; an event of a hub has a few kilobytes.
const MOST: usize = 1 << 20;

/// One event of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// From where a stream goes on after it.
    pub id: Option<String>,
    /// What it says.
    pub data: String,
}

/// What was read and is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    bytes: Vec<u8>,
}

impl Blocks {
    /// Adds what was read.
    ///
    /// # Errors
    /// A block that does not end.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.bytes.len() + bytes.len() > 2 * MOST && self.end().is_none() {
            return Err(Failure::Unreachable("the stream is none of events".to_owned()));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole block that says something.
    pub(super) fn next(&mut self) -> Option<Block> {
        while let Some(end) = self.end() {
            let bytes: Vec<u8> = self.bytes.drain(..end + 2).collect();
            let text = String::from_utf8_lossy(&bytes);
            let field = |name: &str| {
                let mut lines = text.lines();
                lines.find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned())
            };
            if let Some(data) = field("data:") {
                return Some(Block { id: field("id:"), data });
            }
        }
        None
    }

    fn end(&self) -> Option<usize> {
        self.bytes.windows(2).position(|two| two == b"\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_it_is_cut_it_is_read_the_same() {
        let stream = "retry: 1\n: after revision 7\n\nid: 8-0\ndata: {\"ä\":1}\n\ndata: {}\n\n";
        let block = |id: Option<&str>, data: &str| Block {
            id: id.map(str::to_owned),
            data: data.to_owned(),
        };
        let whole = [block(Some("8-0"), "{\"ä\":1}"), block(None, "{}")];
        for size in 1..=stream.len() {
            let (mut blocks, mut read) = (Blocks::default(), Vec::new());
            for piece in stream.as_bytes().chunks(size) {
                blocks.push(piece).unwrap();
                read.extend(std::iter::from_fn(|| blocks.next()));
            }
            assert_eq!(read, whole, "{size}");
        }
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let mut blocks = Blocks::default();
        let endless = (0..100).try_for_each(|_| blocks.push(&[b'x'; 65536]));
        assert_eq!(endless.unwrap_err().code(), 4);
    }
}
