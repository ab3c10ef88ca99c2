//! What is to be measured, and for how long.

use std::str::FromStr;

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chapter {
    /// Discovery reads: hub, limit and peers.
    Reads,
    /// The same by the protocols of others.
    Faces,
    /// The same while services change and three registries are connected.
    UnderChange,
    /// Registrations and heartbeats.
    Writes,
    /// From a change to its subscribers.
    Changes,
    /// What one change costs, by how many services there are and how large its own is.
    OneChange,
    /// What many leases cost.
    Idle,
    /// Memory, and the start.
    Size,
}

impl Chapter {
    const ALL: [(&'static str, Self); 8] = [
        ("reads", Self::Reads),
        ("faces", Self::Faces),
        ("under-change", Self::UnderChange),
        ("writes", Self::Writes),
        ("changes", Self::Changes),
        ("one-change", Self::OneChange),
        ("idle", Self::Idle),
        ("size", Self::Size),
    ];
}

#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    pub(crate) chapters: Vec<Chapter>,
    /// Of each measurement that is taken in turns.
    pub(crate) rounds: usize,
    /// Of one measurement.
    pub(crate) seconds: u32,
    /// Who is measured; nothing: everybody.
    pub(crate) only: Option<Vec<String>>,
    /// Services of the largest set in the chapter of sizes.
    pub(crate) services: u32,
}

impl Arguments {
    /// # Panics
    /// For a word that means nothing.
    pub(crate) fn read(words: &[String]) -> Self {
        let mut read =
            Self { chapters: Vec::new(), rounds: 5, seconds: 4, only: None, services: 20_000 };
        let mut words = words.iter().filter(|word| *word != "--bench");
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
            match word.as_str() {
                "--rounds" => read.rounds = number(value()),
                "--seconds" => read.seconds = number(value()),
                "--services" => read.services = number(value()),
                "--only" => read.only = Some(value().split(',').map(str::to_owned).collect()),
                word => {
                    let chapter = Chapter::ALL.into_iter().find(|(name, _)| *name == word);
                    let (_, chapter) =
                        chapter.unwrap_or_else(|| panic!("there is no chapter {word}"));
                    read.chapters.push(chapter);
                }
            }
        }
        if read.chapters.is_empty() {
            read.chapters = Chapter::ALL.map(|(_, chapter)| chapter).to_vec();
        }
        read
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|one| one == name))
    }
}

fn number<T: FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}
