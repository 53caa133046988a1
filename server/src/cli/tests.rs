use super::*;
use crate::store::disk::RealDisk;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_grammar_is_sound_and_every_command_has_help() {
    fn all(command: &clap::Command) {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        command.get_subcommands().filter(|sub| sub.get_name() != "help").for_each(all);
    }
    grammar().debug_assert();
    all(&grammar());
}

#[test]
fn the_spellings_that_scripts_rely_on_are_accepted() {
    for line in [
        "sealpost-relay --data d run --init --listen 127.0.0.1:0",
        "sealpost-relay run --data d --listen [::1]:4433 --metrics 127.0.0.1:9433",
        "sealpost-relay --data d run --advertise relay.example:4433,[2001:db8::7]:443",
        "sealpost-relay --data d run --config relay.toml --log debug --log-format json",
        "sealpost-relay --data d key --json",
        "sealpost-relay --data d permit new",
        "sealpost-relay --data d permit new --label lawyers --json",
        "sealpost-relay permit list --data d",
        "sealpost-relay --data d permit revoke 0123456789abcdef",
        "sealpost-relay --data d check --json",
        "sealpost-relay completions bash",
        "sealpost-relay man --out dir",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn global_flags_stand_before_and_after_the_command() {
    for line in [
        "sealpost-relay --data d --json --log warn permit list",
        "sealpost-relay permit --json list --data d --log warn",
    ] {
        let globals = parse(line).expect(line).globals;
        assert!(globals.json, "{line}");
        assert_eq!(globals.data, Some(PathBuf::from("d")), "{line}");
        assert_eq!(globals.log, Level::Warn, "{line}");
    }
}

#[test]
fn exit_codes_tell_usage_from_the_rest() {
    let exit = |line: &str| {
        let line: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        run(Arc::new(RealDisk), line)
    };
    for usage in [
        "sealpost-relay --json lost",
        "sealpost-relay --json --data d run --listen here",
        "sealpost-relay --json --data d run --advertise nowhere",
        "sealpost-relay --json --data d permit revoke",
        "sealpost-relay --json --log loud check",
        // Listening everywhere says nothing of where clients reach it.
        "sealpost-relay --json --data /nonexistent/d run --init",
        "sealpost-relay --json --data /nonexistent/d run --init --listen [::]:0",
        "sealpost-relay --json --data /nonexistent/d run --init --config /nonexistent/file",
    ] {
        assert_eq!(exit(usage), 2, "{usage}");
    }
    assert_eq!(exit("sealpost-relay --version"), 0);
    assert_eq!(exit("sealpost-relay run --help"), 0);
    for missing in ["run", "key", "check", "permit list"] {
        let line = format!("sealpost-relay --json --data /nonexistent/d {missing}");
        assert_eq!(exit(&line), 6, "{line}");
    }
}
