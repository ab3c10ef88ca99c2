//! Compressed answers without compressing twice.
//!
//! An answer is a head that changes with the content and a tail that changes with time. The head
//! is deflated once per revision and ends on a byte border (a sync flush); a small final block
//! with the tail completes it. The CRC of the whole comes from the CRCs of the parts. A long list is
//! made of [`Part`]s in the same way, each deflated when it last changed.

use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compress, Compression, FlushCompress};

/// RFC 1952: magic, deflate, no flags, no time, no extra flags, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The compressed head: gzip header and deflate blocks, none of them final.
#[derive(Clone, Debug)]
pub struct GzipHead {
    bytes: Bytes,
    crc: crc32fast::Hasher,
}

impl GzipHead {
    /// Compresses a head.
    #[must_use]
    pub fn new(head: &[u8]) -> Self {
        let mut crc = crc32fast::Hasher::new();
        crc.update(head);
        let mut bytes = HEADER.to_vec();
        deflate(head, &mut bytes);
        Self { bytes: bytes.into(), crc }
    }

    /// The compressed bytes of the head.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// What follows them: the compressed tail, the CRC and the length of the whole.
    #[must_use]
    pub fn finish(&self, head_len: usize, tail: &[u8]) -> Bytes {
        let mut crc = self.crc.clone();
        crc.update(tail);
        let mut out = BytesMut::with_capacity(tail.len() + 32);
        stored(tail, &mut out);
        out.put_u32_le(crc.finalize());
        // RFC 1952: the length modulo 2^32.
        out.put_u32_le((head_len + tail.len()) as u32);
        out.freeze()
    }
}

/// A part of an answer, deflated by itself.
#[derive(Clone, Debug)]
pub struct Part {
    bytes: Bytes,
    crc: crc32fast::Hasher,
}

impl Part {
    /// Compresses it.
    #[must_use]
    pub fn new(plain: &[u8]) -> Self {
        let mut crc = crc32fast::Hasher::new();
        crc.update(plain);
        let mut bytes = Vec::new();
        deflate(plain, &mut bytes);
        Self { bytes: bytes.into(), crc }
    }
}

/// One gzip member of these parts, `len` bytes long together before they were compressed.
pub fn member<'p>(parts: impl IntoIterator<Item = &'p Part>, len: u64) -> Vec<Bytes> {
    let mut crc = crc32fast::Hasher::new();
    let mut all = vec![Bytes::from_static(&HEADER)];
    for part in parts {
        crc.combine(&part.crc);
        all.push(part.bytes.clone());
    }
    let mut end = BytesMut::with_capacity(16);
    stored(&[], &mut end);
    end.put_u32_le(crc.finalize());
    // RFC 1952: the length modulo 2^32.
    end.put_u32_le(len as u32);
    all.push(end.freeze());
    all
}

/// RFC 1951 3.2.4: blocks of plain bytes, the last one marked. For a tail of some hundred bytes a
/// compressor's tables would cost more than they save.
fn stored(input: &[u8], out: &mut BytesMut) {
    let mut rest = input;
    loop {
        let (block, more) = rest.split_at(rest.len().min(usize::from(u16::MAX)));
        out.put_u8(u8::from(more.is_empty()));
        out.put_u16_le(block.len() as u16);
        out.put_u16_le(!(block.len() as u16));
        out.put_slice(block);
        if more.is_empty() {
            return;
        }
        rest = more;
    }
}

/// Appends the input as blocks none of which is final, ending on a byte border.
fn deflate(input: &[u8], out: &mut Vec<u8>) {
    let mut compress = Compress::new(Compression::fast(), false);
    loop {
        let taken = compress.total_in() as usize;
        out.reserve(input.len() / 2 + 64);
        let room = out.capacity() - out.len();
        let before = out.len();
        // The only error of a compressor is misuse after its end, which never comes here.
        let failed = compress.compress_vec(&input[taken..], out, FlushCompress::Sync).is_err();
        let filled = out.len() - before == room;
        if failed || (compress.total_in() as usize == input.len() && !filled) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn parts_make_one_gzip_member() {
        let plain: Vec<Vec<u8>> = [0, 1, 300, 90_000].map(|size| vec![b'x'; size]).into();
        let parts: Vec<Part> = plain.iter().map(|plain| Part::new(plain)).collect();
        let len = plain.iter().map(Vec::len).sum::<usize>() as u64;
        let whole = member(&parts, len).concat();
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&*whole).read_to_end(&mut read).unwrap();
        assert_eq!(read, plain.concat());
    }

    #[test]
    fn head_and_tail_make_one_gzip_member() {
        for size in [0, 1, 100, 70_000] {
            let head: Vec<u8> = (0..size).map(|n: u64| b'a' + (n * n % 23) as u8).collect();
            let tail = &vec![b'}'; 20 + 10 * head.len()][..];
            let compressed = GzipHead::new(&head);
            let mut whole = compressed.bytes().to_vec();
            whole.extend_from_slice(&compressed.finish(head.len(), tail));
            let mut read = Vec::new();
            flate2::read::GzDecoder::new(&*whole).read_to_end(&mut read).unwrap();
            assert_eq!(read, [&head[..], tail].concat());
        }
    }
}
