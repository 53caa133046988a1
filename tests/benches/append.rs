//! The limit of the machine: records appended to a growing file, with one fdatasync for so many.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// Appends `syncs` times `records_a_sync` records and makes them durable each time.
pub(crate) fn records_a_second(folder: &Path, syncs: usize, records_a_sync: usize) -> f64 {
    let path = folder.join("append");
    let mut file = OpenOptions::new()
        .create_new(true)
        .append(true)
        .open(&path)
        .expect("the temporary folder is writable");
    // Not zeros: some file systems keep those for nothing.
    let records = vec![0x5a; records_a_sync * crate::RECORD_BYTES];
    let began = Instant::now();
    for _ in 0..syncs {
        file.write_all(&records).expect("there is room");
        file.sync_data().expect("the disk works");
    }
    let took = began.elapsed();
    std::fs::remove_file(&path).expect("it is ours");
    (syncs * records_a_sync) as f64 / took.as_secs_f64()
}
