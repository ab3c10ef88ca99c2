//! Whether the places are enough.

use std::time::Duration;

use crate::health::load::{Watch, Word, needed, under_way};

#[test]
fn what_is_needed_follows_from_what_checks_take() {
    let one = (Duration::from_millis(300), Duration::from_secs(30));
    // 1,000 checks of 0.3 s in 30 s: ten are under way, in four of five places.
    assert_eq!(needed(under_way(std::iter::repeat_n(one, 1000))), 13);
    assert_eq!(needed(under_way(std::iter::empty())), 0);
}

#[test]
fn it_is_told_once_again_when_it_grows_and_when_it_is_over() {
    let mut watch = Watch::default();
    assert_eq!(watch.look(10, 10), None);
    assert_eq!(watch.look(11, 10), Some(Word::TooFew));
    assert_eq!((watch.look(11, 10), watch.look(16, 10)), (None, None));
    assert_eq!(watch.look(17, 10), Some(Word::TooFew));
    assert_eq!((watch.look(10, 10), watch.look(9, 10)), (None, None), "not yet for sure");
    assert_eq!(watch.look(8, 10), Some(Word::Enough));
    assert_eq!(watch.look(8, 10), None);
}
