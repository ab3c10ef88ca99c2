#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hub_registry_fuzz::decode("dns_answer", bytes));
