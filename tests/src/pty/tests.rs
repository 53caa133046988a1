use super::*;

fn shell(script: &str) -> Pty {
    let mut command = Command::new("sh");
    command.args(["-c", script]).env("PATH", std::env::var_os("PATH").unwrap());
    Pty::spawn(&command)
}

#[test]
fn what_is_typed_arrives_and_what_is_shown_is_seen() {
    let mut pty =
        shell("test -t 0 && printf 'Name: ' && read name && echo \"hello $name\"; exit 3");
    pty.expect("Name: ");
    pty.type_line("isla");
    pty.expect("hello isla");
    let (status, _) = pty.finish();
    assert_eq!(status.code(), Some(3));
}

#[test]
fn a_hidden_prompt_shows_nothing_and_reads_from_the_terminal() {
    let script = "printf 'Secret: '; stty -echo; read secret </dev/tty; stty echo; echo; \
                  test \"$secret\" = 'winter light' && echo right";
    let mut pty = shell(script);
    pty.expect_hidden("Secret: ");
    pty.type_line("winter light");
    pty.expect("right");
    let (status, shown) = pty.finish();
    assert!(status.success());
    assert!(!shown.contains("winter"), "{shown}");
}
