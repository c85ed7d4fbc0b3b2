// SPDX-License-Identifier: Apache-2.0
// For the examples of the documentation: a folder of their own, with the tiny model as model.gguf and the records as
// train.jsonl.
fn files() {
    let named = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let folder = std::path::PathBuf::from(named("FTLIB_WORK")).join(format!("rust-example-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(named("FTLIB_TINY"), folder.join("model.gguf")).unwrap();
    std::fs::copy(named("FTLIB_RECORDS"), folder.join("train.jsonl")).unwrap();
    std::env::set_current_dir(folder).unwrap();
}
