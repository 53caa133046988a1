//! The peer for a first pull that ends with everything in its place: restic, which checks and decrypts what
//! it restores, and checks no signature.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

/// Files in one folder: few enough for any file system to be quick.
const FILES_A_FOLDER: usize = 1_000;

/// A repository on this disk with one snapshot of so many files.
pub(crate) struct Restic {
    folder: TempDir,
    files: usize,
}

impl Restic {
    /// Backs up `files` random files; none where it is not installed.
    ///
    /// # Panics
    /// When it is and does not do as it should.
    pub(crate) fn filled(files: usize, file_bytes: usize) -> Option<Self> {
        let version = Command::new("restic").arg("version").output().ok()?;
        version.status.success().then_some(())?;
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let restic = Self { folder, files };
        let from = restic.folder.path().join("from");
        let mut bytes = vec![0; file_bytes];
        for file in 0..files {
            let folder = from.join((file / FILES_A_FOLDER).to_string());
            if file % FILES_A_FOLDER == 0 {
                fs::create_dir_all(&folder).expect("the temporary folder is writable");
            }
            getrandom::fill(&mut bytes).expect("the system has randomness");
            fs::write(folder.join(file.to_string()), &bytes).expect("there is room");
        }
        restic.run(&["init"]);
        restic.run(&["backup", "from"]);
        fs::remove_dir_all(&from).expect("it was made");
        Some(restic)
    }

    /// Restores all of it. In seconds.
    pub(crate) fn restore(&self) -> f64 {
        let began = Instant::now();
        self.run(&["restore", "latest", "--target", "to"]);
        let took = began.elapsed().as_secs_f64();
        let to = self.folder.path().join("to");
        let folders = fs::read_dir(to.join("from")).expect("it was restored");
        let files = folders.map(|folder| {
            let folder = folder.expect("it can be listed").path();
            fs::read_dir(folder).expect("it was restored").count()
        });
        assert_eq!(files.sum::<usize>(), self.files, "restic restored something else");
        fs::remove_dir_all(&to).expect("it was made");
        took
    }

    fn run(&self, arguments: &[&str]) {
        let mut restic = Command::new("restic");
        let here = self.folder.path();
        restic.args(["--quiet", "--repo", "repository"]).args(arguments).current_dir(here);
        restic.env("RESTIC_PASSWORD", "for this bench").env("HOME", here);
        restic.env_remove("XDG_CACHE_HOME").stdin(Stdio::null());
        let ran = restic.output().expect("restic starts");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "restic {arguments:?}: {said}");
    }
}
