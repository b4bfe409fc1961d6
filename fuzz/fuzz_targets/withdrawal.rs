#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| knit_fuzz_bodies::withdrawal(data));
