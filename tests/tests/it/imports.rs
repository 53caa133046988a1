//! Who may import what, and which files are there: the structure of the workspace as rules that run.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic there is the test failing")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// The Rust sources below `folder`, by their path from the root.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    let mut folders: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                sources.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(!sources.is_empty(), "{folder} holds no source");
    sources
}

/// Whether tests alone compile the file.
fn is_test(path: &str) -> bool {
    let names: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    names.contains(&"tests") || path.starts_with("protocol/src/vectors")
}

/// A line without its comment and without what stands in quotes.
fn code(line: &str) -> String {
    let outside: Vec<&str> = line.split('"').step_by(2).collect();
    outside.concat().split("//").next().unwrap_or_default().to_owned()
}

/// Whether the code of `source` names `path` as a whole, or what lies below it
/// when it ends with `::`.
fn names(source: &str, path: &str) -> bool {
    let part_of_a_word = |char: char| char.is_alphanumeric() || char == '_';
    source.lines().map(code).any(|code| {
        code.match_indices(path).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            let after = code[at + path.len()..].chars().next();
            let ends = path.ends_with(':') || !after.is_some_and(part_of_a_word);
            ends && !before.is_some_and(part_of_a_word)
        })
    })
}

/// Fails when a source below `folder` names one of `paths` and is not let off.
fn nobody_names(folder: &str, paths: &[&str], let_off: impl Fn(&str) -> bool) {
    for (file, source) in sources(folder) {
        for path in paths.iter().filter(|_| !let_off(&file)) {
            assert!(!names(&source, path), "{file} names {path}");
        }
    }
}

/// Fails when `file` does not name `path`: then a rule that lets it off is about nothing.
fn names_indeed(file: &str, path: &str) {
    let source = fs::read_to_string(root().join(file)).unwrap();
    assert!(names(&source, path), "{file} does not name {path}");
}

#[test]
fn a_name_is_found_in_code_and_not_in_comments_or_longer_names() {
    assert!(names("use std::fs;", "std::fs"));
    assert!(names("    let file = std::fs::File::open(path)?; // why", "std::fs"));
    assert!(names("async fn pull(sled: &sled::Db) {", "sled"));
    assert!(!names("// no std::fs here", "std::fs"));
    assert!(!names("/// Like [`std::fs`].", "std::fs"));
    assert!(!names("let unsettled = std::fsync;", "std::fs"));
    assert!(!names("let unsettled = 1;", "sled"));
    assert!(!names("let target = \"sled\"; // quiet", "sled"));
    assert!(names("open(\"file\", sled::Config::new())", "sled"));
    assert!(names("use sealpost::cli;", "sealpost::"));
    assert!(!names("use sealpost_protocol::code;", "sealpost::"));
}

#[test]
fn the_protocol_has_no_sockets_files_clock_or_async() {
    let forbidden = [
        "tokio",
        "quinn",
        "rustls",
        "sled",
        "clap",
        "rusqlite",
        "tracing",
        "std::fs",
        "fs::File",
        "std::net",
        "std::process",
        "std::env",
        "std::thread",
        "Instant::now",
        "SystemTime::now",
        "async fn",
        "thread_rng",
        "println!",
        "eprintln!",
    ];
    nobody_names("protocol/src", &forbidden, is_test);
    names_indeed("protocol/src/vectors.rs", "std::fs");
}

#[test]
fn the_client_and_the_relay_never_import_each_other() {
    nobody_names("client/src", &["sealpost_relay"], |_| false);
    nobody_names("server/src", &["sealpost::"], |_| false);
    let manifest =
        |folder: &str| fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    assert!(!manifest("client").contains("sealpost-relay"));
    let server = manifest("server");
    for dependency in ["sealpost.workspace", "sealpost =", "age", "hpke", "ml-kem", "\"seal\""] {
        assert!(!server.lines().any(|line| line.starts_with(dependency)), "{dependency}");
    }
    assert!(!server.contains("\"seal\""), "the relay takes the protocol without `seal`");
}

#[test]
fn libraries_stay_where_they_belong() {
    let transport = |file: &str| file.contains("/transport/") || file.ends_with("/transport.rs");
    nobody_names("server/src", &["quinn", "rustls"], transport);
    nobody_names("client/src", &["quinn", "rustls"], transport);
    names_indeed("server/src/transport.rs", "quinn");
    names_indeed("client/src/transport.rs", "quinn");

    let index = |file: &str| file.starts_with("server/src/store/index");
    nobody_names("server/src", &["sled"], index);
    nobody_names("client/src", &["sled"], |_| false);
    names_indeed("server/src/store/index.rs", "sled");

    let vault = |file: &str| file.starts_with("client/src/vault");
    nobody_names("client/src", &["rusqlite"], vault);
    nobody_names("server/src", &["rusqlite"], |_| false);
    names_indeed("client/src/vault.rs", "rusqlite");

    // What takes the files of others apart does so in one place.
    let strip = |file: &str| file.starts_with("client/src/strip");
    nobody_names("client/src", &["lopdf", "quick_xml", "flate2", "crc32fast"], strip);
    nobody_names("server/src", &["lopdf", "quick_xml", "flate2"], |_| false);
    names_indeed("client/src/strip/pdf.rs", "lopdf");

    for folder in ["client/src", "server/src"] {
        nobody_names(folder, &["tokio_postgres", "object_store"], |_| false);
    }
    nobody_names("server/src", &["age", "hpke", "ml_kem", "x25519_dalek"], |_| false);

    // What it computes with is wiped in one place.
    let sharing = |file: &str| file.starts_with("protocol/src/recovery/sharing");
    nobody_names("protocol/src", &["vsss_rs", "chacha20"], sharing);
    names_indeed("protocol/src/recovery/sharing.rs", "vsss_rs");
    for folder in ["client/src", "server/src"] {
        nobody_names(folder, &["vsss_rs", "curve25519_dalek"], |_| false);
    }
}

/// What others wrote reaches a terminal by one way, which makes it harmless.
#[test]
fn the_clients_ui_alone_writes_to_the_streams_of_the_process() {
    let ways =
        ["println!", "eprintln!", "print!", "dbg!", "io::stdout", "io::stderr", "error.print"];
    nobody_names("client/src", &ways, |file| file == "client/src/ui.rs" || is_test(file));
    names_indeed("client/src/ui.rs", "io::stdout");
    // What is written as it comes is no text of others: sealed files, cards, completions.
    let by_bytes = ["record/show.rs", "device/show.rs", "completions.rs"];
    let let_off = |file: &str| by_bytes.iter().any(|allowed| file.ends_with(allowed));
    nobody_names("client/src", &["ui.bytes"], let_off);
    names_indeed("client/src/commands/record/show.rs", "ui.bytes");
}

/// What is pasted into the relay's command line reaches the operator's terminal by one way too; logs have
/// their own.
#[test]
fn the_relays_command_line_alone_writes_to_the_streams_of_the_process() {
    let ways =
        ["println!", "eprintln!", "print!", "dbg!", "io::stdout", "io::stderr", "error.print"];
    let place = |file: &str| file == "server/src/cli.rs" || file == "server/src/logs.rs";
    nobody_names("server/src", &ways, |file| place(file) || is_test(file));
    nobody_names("server/src", &["error.print"], |_| false);
    names_indeed("server/src/cli.rs", "io::stdout");
}

/// What `cargo tree` says of a package as it ships, a crate a line.
fn tree(package: &str, edges: &str) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--locked", "--offline", "--prefix", "none", "-p", package, "-e", edges])
        .current_dir(root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn has_crate(tree: &str, name: &str) -> bool {
    tree.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(" v")))
}

#[test]
fn the_relay_contains_no_code_that_decrypts() {
    let relay = tree("sealpost-relay", "normal");
    assert!(has_crate(&relay, "sealpost-protocol") && has_crate(&relay, "quinn"));
    let opening =
        ["age", "age-core", "hpke", "ml-kem", "x25519-dalek", "chacha20poly1305", "vsss-rs"];
    for name in opening {
        assert!(!has_crate(&relay, name), "the relay contains {name}");
    }
    // The same question finds it where it is.
    assert!(has_crate(&tree("sealpost", "normal"), "age"));
}

/// The feature weakens even strict verification.
#[test]
fn legacy_compatibility_of_ed25519_is_off() {
    for package in ["sealpost", "sealpost-relay"] {
        let features = tree(package, "normal,features");
        let of_dalek = |line: &&str| line.starts_with("ed25519-dalek feature ");
        let mut features: Vec<&str> = features.lines().filter(of_dalek).collect();
        features.sort_unstable();
        features.dedup();
        assert!(features.iter().any(|feature| feature.contains("\"alloc\"")), "{features:?}");
        for feature in features {
            assert!(!feature.contains("legacy_compatibility"), "{package}: {feature}");
        }
    }
}

/// Where a module of that path may be declared.
fn parents(path: &str) -> Vec<String> {
    let (folder, _) = path.rsplit_once('/').unwrap();
    let inside = ["lib.rs", "main.rs", "mod.rs"].map(|name| format!("{folder}/{name}"));
    [vec![format!("{folder}.rs")], inside.into()].concat()
}

#[test]
fn no_source_is_forgotten() {
    for folder in ["protocol", "client", "server", "tests"] {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let mut all = sources(&format!("{folder}/src"));
        if folder == "tests" {
            all.extend(sources("tests/tests"));
            all.extend(sources("tests/benches"));
        }
        for path in all.keys() {
            let (_, name) = path.trim_end_matches(".rs").rsplit_once('/').unwrap();
            let in_crate = path.strip_prefix(folder).unwrap().trim_start_matches('/');
            let is_root = ["src/lib.rs", "src/main.rs"].contains(&in_crate);
            if is_root || manifest.contains(&format!("path = \"{in_crate}\"")) {
                continue;
            }
            let declared =
                parents(path).iter().filter_map(|parent| all.get(parent)).any(|parent| {
                    parent.lines().any(|line| {
                        let line = line.trim_start().trim_start_matches("pub").trim_start();
                        let line = line.trim_start_matches("(crate)").trim_start();
                        line.trim_start_matches("(super)").trim_start() == format!("mod {name};")
                    })
                });
            assert!(declared, "{path} is compiled by nobody: no `mod {name};` above it");
        }
    }
}

/// A file of tests without a test in it looks like work that was done.
#[test]
fn no_file_of_tests_is_empty() {
    for folder in ["protocol/src", "client/src", "server/src"] {
        for (path, source) in sources(folder) {
            let has_test =
                ["#[test]", "#[tokio::test", "\nmod "].iter().any(|it| source.contains(it));
            assert!(!path.ends_with("/tests.rs") || has_test, "{path} tests nothing");
        }
    }
}
