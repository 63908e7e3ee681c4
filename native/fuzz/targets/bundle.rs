#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diffem_cli::readers::bundle(bytes));
