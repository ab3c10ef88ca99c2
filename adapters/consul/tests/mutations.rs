//! Damaged answers of a Consul: never a panic, and no entry is dropped without a word.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use hub_registry_consul::wire::{ServiceEntry, Services};
use hub_registry_testkit::mutate::{Mutator, beginnings, rounds};
use serde_json::Value;

const SERVICES: &[u8] = include_bytes!("data/consul-1.8.7-services.json");
const ENTRIES: &[u8] = include_bytes!("data/consul-1.8.7-health-web.json");

#[test]
fn a_cut_answer_is_never_a_list() {
    for answer in [SERVICES, ENTRIES] {
        for cut in beginnings(answer) {
            assert!(serde_json::from_slice::<Services>(cut).is_err(), "{}", cut.len());
            assert!(serde_json::from_slice::<Vec<ServiceEntry>>(cut).is_err(), "{}", cut.len());
        }
    }
}

#[test]
fn what_is_read_of_a_damaged_answer_is_all_that_is_in_it() {
    let mut mutator = Mutator::new(None);
    let (mut read, rounds) = (0, rounds());
    for _ in 0..rounds {
        let bytes = mutator.any(SERVICES);
        if let Ok(Services(names)) = serde_json::from_slice(&bytes) {
            let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { continue };
            assert_eq!(names.len(), value.as_object().unwrap().len());
            read += 1;
        }
        let bytes = mutator.any(ENTRIES);
        if let Ok(entries) = serde_json::from_slice::<Vec<ServiceEntry>>(&bytes) {
            // What nobody looks at may be no text at all.
            let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { continue };
            assert_eq!(entries.len(), value.as_array().unwrap().len());
            read += 1;
        }
    }
    println!("{read} of {} damaged answers could be read", 2 * rounds);
    assert!(read > 0);
}
