//! Any bytes as a reply of Redis, and as the recipe of one: see `decoding.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../decoding.rs"]
mod decoding;

fuzz_target!(|input: &[u8]| {
    decoding::wire(input);
    decoding::value(&decoding::tree(input));
});
