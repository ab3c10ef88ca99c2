//! Every decoder of the faces, by name: what reads bytes that anybody may send. `tests/fuzz` looks for
//! bytes that end the process; a sample of that is a test here.

use super::{consul, dns, eureka, nacos};

/// Reads bytes, and is not to panic.
pub type Decoder = fn(&[u8]);

/// The decoders.
pub const DECODERS: [(&str, Decoder); 12] = [
    ("eureka_registration", eureka::fuzzing::registration),
    ("eureka_replication", eureka::fuzzing::replication),
    ("consul_definition", consul::fuzzing::definition),
    ("consul_check", consul::fuzzing::check),
    ("consul_filter", consul::fuzzing::expression),
    ("nacos_message", nacos::fuzzing::message),
    ("nacos_heartbeat", nacos::fuzzing::heartbeat),
    ("nacos_metadata", nacos::fuzzing::metadata),
    ("nacos_acknowledgement", nacos::fuzzing::acknowledgement),
    ("nacos_configurations", nacos::fuzzing::configurations),
    ("dns_question", dns::fuzzing::question),
    ("dns_answer", dns::fuzzing::answer),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use fastrand::Rng;

    use super::*;

    /// One of them, cut, joined with another one, or with other bytes.
    fn mutated(random: &mut Rng, all: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = all[random.usize(..all.len())].clone();
        for _ in 0..random.usize(1..4) {
            let place = random.usize(..=bytes.len());
            match random.u8(0..5) {
                0 => bytes.truncate(place),
                1 => bytes.insert(place, random.u8(..)),
                2 => {
                    let other = &all[random.usize(..all.len())];
                    let (from, to) = (random.usize(..=other.len()), random.usize(..=other.len()));
                    let part = &other[from.min(to)..from.max(to)];
                    bytes.splice(place..place, part.iter().copied());
                }
                _ => {
                    if let Some(byte) = bytes.get_mut(place) {
                        *byte = random.u8(..);
                    }
                }
            }
        }
        bytes
    }

    #[test]
    fn no_decoder_panics_at_what_was_found_before_or_at_what_is_like_it() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = Rng::with_seed(seed);
        for (name, decode) in DECODERS {
            let folder = Path::new("tests/fuzz/corpus").join(name);
            let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
            let all: Vec<_> = files.map(|file| std::fs::read(file).unwrap()).collect();
            assert!(!all.is_empty(), "{}", folder.display());
            all.iter().for_each(|bytes| decode(bytes));
            for _ in 0..3000 {
                decode(&mutated(&mut random, &all));
            }
        }
    }
}
