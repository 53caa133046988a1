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
