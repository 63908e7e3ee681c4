//! What a reader tries first: the examples run, and the quickstart of the README is the one that is compiled.

#[path = "../examples/custom_channel.rs"]
mod custom_channel;
#[path = "../examples/custom_network.rs"]
mod custom_network;
#[path = "../examples/quickstart.rs"]
mod quickstart;

use std::path::Path;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_quickstart_runs() {
    quickstart::main().unwrap();
}

#[test]
fn a_channel_of_one_s_own_runs() {
    custom_channel::main().unwrap();
}

#[test]
fn a_network_of_one_s_own_runs() {
    custom_network::main().unwrap();
}

/// Returns the lines of the first code block that begins with `fence`, each without `prefix`; lines that
/// rustdoc hides are left out.
fn block(text: &str, fence: &str, prefix: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.strip_prefix(prefix).unwrap_or(line).trim_end());
    let lines = lines.skip_while(|line| *line != fence).skip(1).take_while(|line| *line != "```");
    lines.filter(|line| !line.starts_with("# ")).map(str::to_string).collect()
}

#[test]
fn the_readme_s_quickstart_is_the_crate_s() {
    let readme = block(&read("README.md"), "```rust", "");
    let library = block(&read("src/lib.rs"), "```", "//! ").into_iter().map(|line| line.replace("//!", ""));
    let library: Vec<String> = library.collect();
    assert_eq!(readme, library);
    assert!((8..=12).contains(&readme.len()), "{} lines", readme.len());
}

#[test]
fn examples_are_short() {
    for name in ["quickstart", "custom_channel", "custom_network"] {
        let lines = read(&format!("examples/{name}.rs")).lines().count();
        assert!(lines < 60, "{name}: {lines} lines");
    }
}
