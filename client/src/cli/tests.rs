use std::path::Path;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_grammar_is_sound() {
    grammar().debug_assert();
}

#[test]
fn the_spellings_that_scripts_rely_on_are_accepted() {
    for line in [
        "sealpost init --handle baran",
        "sealpost init --handle baran --danger-work-factor 1",
        "sealpost device show",
        "sealpost committee found --relay sealpost://x --permit abc --name-from -",
        "sealpost committee list",
        "sealpost committee show C-00000000",
        "sealpost committee audit C-00000000",
        "sealpost committee lock C-00000000 --yes",
        "sealpost committee lock C-00000000 --export --yes",
        "sealpost invite new --committee C-00000000 --role coordinator --uses 2 --expires 48h",
        "sealpost invite new --committee C-00000000",
        "sealpost invite list",
        "sealpost invite cancel IV-00000000",
        "sealpost join",
        "sealpost join --handle isla",
        "sealpost member list --asking",
        "sealpost member admit DV-00000000 --safety-number 73018449170258631190",
        "sealpost record new note --committee C-00000000 --from - --later",
        "sealpost record new trial-note --committee C-00000000 --from file.json",
        "sealpost record list",
        "sealpost record show N-00000000 --sealed",
        "sealpost status",
        "sealpost unlock",
        "sealpost unlock --for 8h --idle 30m",
        "sealpost lockup",
        "sealpost status --security",
        "sealpost passphrase",
        "sealpost passphrase --new-passphrase-file new",
        "sealpost passphrase --new-passphrase-fd 4",
        "sealpost device backup --out backup.age",
        "sealpost proof make N-00000000 --out dir",
        "sealpost proof make N-00000000 --part text kind --part /a/0 --attach AT-00000000 --out dir --yes",
        "sealpost proof verify dir",
        "sealpost sync --watch",
        "sealpost demo",
        "sealpost completions bash",
        "sealpost man --out dir",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn global_flags_stand_before_and_after_the_command() {
    for line in [
        "sealpost --home h --passphrase-file p --json record list",
        "sealpost record --json list --home h --passphrase-file p",
    ] {
        let globals = parse(line).expect(line).globals;
        assert!(globals.json, "{line}");
        assert_eq!(globals.home, Some(PathBuf::from("h")), "{line}");
        assert_eq!(globals.passphrase_file, Some(PathBuf::from("p")), "{line}");
    }
}

#[test]
fn usage_errors_exit_2_and_help_and_version_exit_0() {
    let exit = |line: &str| run(line.split_whitespace().map(OsString::from));
    assert_eq!(exit("sealpost --json record lost"), 2);
    assert_eq!(exit("sealpost --json init"), 2);
    assert_eq!(exit("sealpost --json status --passphrase-file a --passphrase-fd 3"), 2);
    assert_eq!(exit("sealpost --json invite new --expires soon"), 2);
    assert_eq!(exit("sealpost --json invite new --uses 0"), 2);
    assert_eq!(exit("sealpost --json invite new --uses 101"), 2);
    assert_eq!(exit("sealpost --json unlock --for ever"), 2);
    assert_eq!(exit("sealpost --json unlock --for 8d"), 2);
    assert_eq!(exit("sealpost --version"), 0);
    assert_eq!(exit("sealpost record new --help"), 0);
}

#[test]
fn a_command_without_a_vault_exits_10_before_it_asks_for_anything() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let line = ["sealpost", "--json", "status", "--home"].map(OsString::from);
    assert_eq!(run(line.into_iter().chain([dir.path().into()])), 10);
}

#[test]
fn every_command_has_help() {
    fn all(command: &clap::Command) {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        command.get_subcommands().filter(|sub| sub.get_name() != "help").for_each(all);
    }
    all(&grammar());
}

/// The program as the subject of a sentence, the first line of a file, and what clap adds.
const NOT_OURS: [&str; 4] =
    ["sealpost command", "sealpost again", "sealpost identity", "sealpost help"];

#[test]
fn every_command_that_a_message_names_can_be_typed() {
    let mut named = 0;
    for source in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        let text = std::fs::read_to_string(&source).expect("readable");
        let code: Vec<&str> =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n").replace("\\\n", " ");
        for (at, _) in code.match_indices("sealpost ") {
            let end = |c: char| "\"`\n,;:.()".contains(c);
            let line = code[at..].split(end).next().expect("a part");
            if !NOT_OURS.contains(&first_two(line)) {
                can_be_typed(line, &source);
                named += 1;
            }
        }
    }
    assert!(named > 80, "only {named} were found");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        match path.is_dir() {
            true => found.extend(sources(&path)),
            false if path.extension().is_some_and(|it| it == "rs") => found.push(path),
            false => {}
        }
    }
    found.retain(|path| !path.ends_with("tests.rs"));
    found
}

fn first_two(line: &str) -> &str {
    let mut spaces = line.match_indices(' ').map(|(at, _)| at);
    line.get(..spaces.nth(1).unwrap_or(line.len())).expect("a part")
}

/// Whether its verbs and flags exist. What stands for a REF or follows the command as prose is not
/// looked at.
fn can_be_typed(line: &str, source: &Path) {
    let source = source.display();
    let grammar = grammar();
    let mut command = &grammar;
    for word in line.split_whitespace().skip(1) {
        if let Some(flag) = word.strip_prefix("--") {
            let known = |it: &clap::Arg| it.get_long() == Some(flag);
            let mut all = command.get_arguments().chain(grammar.get_arguments());
            assert!(flag == "help" || all.any(known), "{source}: no {word} in `{line}`");
        } else if command.has_subcommands() && !any_command(word) {
            let found = command.find_subcommand(word);
            command = found.unwrap_or_else(|| panic!("{source}: no {word} in `{line}`"));
        }
    }
    assert!(
        !command.has_subcommands() || line.split_whitespace().any(any_command),
        "{source}: `{line}` is no command"
    );
}

fn any_command(word: &str) -> bool {
    ["…", "COMMAND", "{}"].contains(&word)
}
