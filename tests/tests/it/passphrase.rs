//! The passphrase is changed, at a terminal, by a script and under kills; what a guess costs is measured.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use sealpost_tests::home::{Home, PASSPHRASE};
use sealpost_tests::process::DEADLINE;

use crate::programs;

const NEW: &str = "reed heron morning ferry";
const QUICK: [&str; 2] = ["--danger-work-factor", "1"];
const KILLS: usize = 24;

fn opens(home: &Home, passphrase: &str) -> bool {
    fs::write(home.passphrase_file(), passphrase).unwrap();
    match home.run(&["device", "show"]) {
        ran if ran.code() == Some(0) => true,
        ran => {
            let _ = ran.fails(4, "locked");
            false
        }
    }
}

#[test]
fn at_a_terminal_the_old_one_is_asked_for_and_the_new_one_twice() {
    let home = Home::of(&programs(), "isla");
    let change = [&["passphrase"][..], &QUICK].concat();
    let typed = |words: [&str; 3]| {
        let mut terminal = home.at_terminal(&change);
        for (question, words) in
            ["Passphrase: ", "New passphrase: ", "The same again: "].iter().zip(words)
        {
            terminal.expect_hidden(question);
            terminal.type_line(words);
        }
        terminal.finish()
    };
    let (status, shown) = typed([PASSPHRASE, NEW, "reed heron morning fairy"]);
    assert_eq!(status.code(), Some(2), "{shown}");
    assert!(!opens(&home, NEW) && opens(&home, PASSPHRASE));
    let (status, shown) = typed([PASSPHRASE, NEW, NEW]);
    assert_eq!(status.code(), Some(0), "{shown}");
    assert!(shown.contains("Copies of the old identity.age"), "{shown}");
    assert!(!shown.contains("heron") && !shown.contains("winter"), "{shown}");
    assert!(opens(&home, NEW) && !opens(&home, PASSPHRASE));

    let mut wrong = home.at_terminal(&change);
    wrong.expect_hidden("Passphrase: ");
    wrong.type_line(PASSPHRASE);
    assert_eq!(wrong.finish().0.code(), Some(4));
}

#[test]
fn a_script_gives_it_by_file_and_the_same_letters_are_the_same_passphrase() {
    let home = Home::of(&programs(), "isla");
    let new = home.file("new", "s\u{327}irin kar\n".as_bytes());
    let new = new.to_str().unwrap();
    let change = [&["passphrase", "--new-passphrase-file", new][..], &QUICK].concat();
    let changed = home.run(&change).exits(0).json();
    assert_eq!(
        (changed["state"].as_str(), changed["work_factor"].as_u64()),
        (Some("changed"), Some(1))
    );
    assert!(opens(&home, "\u{15f}irin kar") && !opens(&home, PASSPHRASE));
    // The old one is wrong now.
    let _ = home.run(&change).fails(4, "locked");
    fs::write(home.passphrase_file(), "\u{15f}irin kar").unwrap();
    let empty = home.file("empty", b"\n");
    let arguments = ["passphrase", "--new-passphrase-file", empty.to_str().unwrap()];
    let _ = home.run(&arguments).fails(2, "usage");
    let nobody = home.run(&["passphrase"]);
    assert_eq!(nobody.code(), Some(4), "there is nobody to ask: {nobody:?}");
    let _ = Home::empty(&programs()).run(&change).fails(10, "no-vault");
}

/// Waits until the change has come so far: a new file beside the old one, or in its place.
fn wait_until(far: impl Fn() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !far() {
        assert!(Instant::now() < until, "the change does not go on");
        thread::yield_now();
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|file| file.ino())
}

#[test]
fn a_killed_change_leaves_the_old_one_or_the_new_one() {
    let home = Home::of(&programs(), "isla");
    let (identity, beside) =
        (home.vault().join("identity.age"), home.vault().join("identity.age.new"));
    let (mut present, mut other) = (PASSPHRASE, NEW);
    let (mut kept, mut changed) = (0, 0);
    for round in 0..KILLS {
        fs::write(home.passphrase_file(), present).unwrap();
        let new = home.file("new", other.as_bytes());
        let before = inode(&identity);
        let left = inode(&beside);
        // Slow enough that there is a moment between the file's being there and its being in place.
        let arguments = [
            "passphrase",
            "--new-passphrase-file",
            new.to_str().unwrap(),
            "--danger-work-factor",
            "14",
        ];
        let process = home.start(&arguments);
        wait_until(|| {
            let is_beside = inode(&beside).is_some_and(|found| Some(found) != left);
            (round % 3 > 0 && is_beside) || inode(&identity) != before
        });
        process.signal(Signal::KILL);
        let _ = process.finish();
        let (old_opens, new_opens) = (opens(&home, present), opens(&home, other));
        assert!(old_opens != new_opens, "round {round}: old {old_opens}, new {new_opens}");
        if new_opens {
            changed += 1;
            (present, other) = (other, present);
        } else {
            kept += 1;
        }
    }
    assert!(kept > 0 && changed > 0, "{kept} kept, {changed} changed");
    // The next change clears away what the kills left.
    fs::write(home.passphrase_file(), present).unwrap();
    let new = home.file("new", other.as_bytes());
    let arguments = ["passphrase", "--new-passphrase-file", new.to_str().unwrap()];
    let _ = home.run(&[&arguments[..], &QUICK].concat()).exits(0);
    assert!(opens(&home, other) && !beside.exists());
}

#[test]
fn what_a_guess_costs_is_measured_here_without_the_passphrase() {
    let home = Home::of(&programs(), "isla");
    fs::remove_file(home.passphrase_file()).unwrap();
    let measured = home.run(&["status", "--security"]).exits(0).json();
    assert_eq!(measured["work_factor"], 1);
    assert_eq!(measured["memory_bytes"], 2 * 1024);
    let number = |field: &str| measured[field].as_f64().unwrap_or_else(|| panic!("no {field}"));
    let made = number("cores") / number("guess_seconds");
    assert!((number("guesses_a_second") - made).abs() < made / 1e6, "{measured}");
    let holds = measured["holds"].as_array().unwrap();
    assert_eq!(holds.len(), 6);
    assert!(holds.iter().all(|one| one["years"].as_f64().is_some_and(|years| years > 0.0)));
    let told = home.run_plain(&["status", "--security"]).exits(0);
    let _ = told.says("guesses a second").says("6 words").says("sealpost passphrase");
}
