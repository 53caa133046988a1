use std::sync::mpsc;

use super::*;

#[test]
fn nobody_waits_for_a_look_up_that_was_given_up() {
    let (answer, look_up) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let given_up = run(async {
            tokio::task::spawn_blocking(move || look_up.recv());
            Ok(())
        });
        tell.send(given_up.is_ok()).expect("the test waits");
    });
    assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(true));
    drop(answer);
}
