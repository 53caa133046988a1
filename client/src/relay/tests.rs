use std::sync::mpsc;

use super::*;

#[test]
fn nobody_waits_for_a_look_up_that_was_given_up() {
    let (answer, look_up) = mpsc::channel::<()>();
    let (tell, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let given_up = run(async {
            tokio::task::spawn_blocking(move || look_up.recv());
            Ok(())
        });
        tell.send(given_up.is_ok()).expect("the test waits");
    });
    assert_eq!(heard.recv_timeout(Duration::from_secs(10)), Ok(true));
    drop(answer);
}

#[test]
fn every_no_is_told_by_its_name_and_a_full_disk_in_plain_words() {
    for code in Code::ALL {
        assert!(told(*code).starts_with(code.name()), "{}", told(*code));
    }
    let error = AskError::Refused(Code::Full).to_string();
    assert_eq!(error, "the relay refused: Full (its disk is full, it reads and does not write)");
}
