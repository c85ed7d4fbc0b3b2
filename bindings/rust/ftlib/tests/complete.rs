// SPDX-License-Identifier: Apache-2.0
//! The safe layer against the golden file of the C ABI, of the version that the library says it is of.
use std::fs::read_to_string;

/// The names of functions of C that these sources use.
fn used(sources: &str) -> Vec<String> {
    let name = |rest: &str| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("").to_string();
    sources.split("sys::").skip(1).map(name).collect()
}

#[test]
fn every_function_of_the_library_is_used() {
    let path = format!("{}/../../../capi/abi/ftlib_c-{}.layout", env!("CARGO_MANIFEST_DIR"), ftlib::abi_version());
    let golden = read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
    let used = used(&folder.map(|file| read_to_string(file.unwrap().path()).unwrap()).collect::<String>());
    let functions: Vec<&str> =
        golden.lines().filter_map(|line| line.strip_prefix("function ")?.split(' ').next()).collect();
    assert!(functions.len() > 80);
    let missing: Vec<_> = functions.iter().filter(|name| !used.iter().any(|used| used == *name)).collect();
    assert!(missing.is_empty(), "the safe layer lacks {missing:?}");
}
