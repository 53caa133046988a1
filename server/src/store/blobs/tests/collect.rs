use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn day(days: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + DAY * days
}

#[test]
fn uploads_that_no_entry_came_to_name_go_after_a_month() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    let files: Vec<Vec<u8>> = (0..4).map(|seed| file(seed, 3_000)).collect();
    runtime().block_on(async {
        disk.set_time(day(100));
        send(&store, "c", "whole", &files[0]).await.unwrap();
        send(&store, "c", "named", &files[1]).await.unwrap();
        name_blobs(&store, "c", "named", 0, &[&files[1]]).await.unwrap();
        disk.set_time(day(101));
        let begun = store.upload(committee("c"), device("runs"), blob_of(&files[2])).await.unwrap();
        drop(store.upload(committee("c"), device("part"), blob_of(&files[3])).await.unwrap());
        let pin = store.pin(committee("c"), device("whole"), vec![blob_of(&files[0])]).await;
        assert_eq!(store.collect_uploads(day(130)).await.unwrap(), 0, "one is pinned");
        drop(pin);
        assert_eq!(store.collect_uploads(day(129)).await.unwrap(), 0, "not old enough");
        assert_eq!(store.collect_uploads(day(130)).await.unwrap(), 1);
        assert_eq!(disk.contents(&upload_path("c", "whole", &files[0], "")), None);
        assert_eq!(store.collect_uploads(day(131)).await.unwrap(), 1, "one runs, one does not");
        drop(begun);
        assert_eq!(
            read(&store, committee("c"), Hash::of(&files[1])).await.unwrap(),
            Some(files[1].clone())
        );
    });
    assert_eq!(store.blob_counts().collected, 2);
}

#[test]
fn an_upload_that_was_gone_on_with_is_young_again() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    let file = file(1, 10_000);
    let part = |to: usize| {
        let store = store.clone();
        let file = file.clone();
        async move {
            let begun = store.upload(committee("c"), device("d"), blob_of(&file)).await.unwrap();
            let Begun::At(upload) = begun else { panic!("not whole yet") };
            let (sender, body) = mpsc::channel(1);
            let from = usize::try_from(upload.offset()).unwrap();
            sender.try_send(Bytes::copy_from_slice(&file[from..to])).unwrap();
            drop(sender);
            store.receive(upload, body).await.unwrap_err();
        }
    };
    runtime().block_on(async {
        disk.set_time(day(1));
        part(4_000).await;
        disk.set_time(day(20));
        part(5_000).await;
        assert_eq!(store.collect_uploads(day(49)).await.unwrap(), 0);
        assert_eq!(store.collect_uploads(day(50)).await.unwrap(), 1);
    });
}

/// Killed between the entry and the move of its file.
#[test]
fn a_named_upload_is_brought_to_its_place_instead() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    let files = [file(1, 3_000), file(2, 4_000)];
    runtime().block_on(async {
        for file in &files {
            send(&store, "c", "d", file).await.unwrap();
        }
        name_blobs(&store, "c", "d", 0, &[&files[0], &files[1]]).await.unwrap();
    });
    store.close();
    for file in &files {
        disk.rename(&blob_path("c", file), &upload_path("c", "d", file, "")).unwrap();
    }
    let disk = disk.kill();
    let store = open(&disk).unwrap();
    runtime().block_on(async {
        // It is given from where it is, too.
        let got = read(&store, committee("c"), Hash::of(&files[0])).await.unwrap();
        assert!(got.as_ref() == Some(&files[0]));
        assert_eq!(store.collect_uploads(day(10_000)).await.unwrap(), 0);
    });
    store.close();
    for file in &files {
        assert!(disk.contents(&blob_path("c", file)).as_ref() == Some(file));
    }
}

#[test]
fn what_belongs_nowhere_goes_in_time_and_what_others_sent_of_a_named_blob() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    let file = file(1, 3_000);
    runtime().block_on(async {
        send(&store, "c", "one", &file).await.unwrap();
        send(&store, "c", "two", &file).await.unwrap();
        name_blobs(&store, "c", "one", 0, &[&file]).await.unwrap();
    });
    store.close();
    assert_eq!(disk.contents(&upload_path("c", "two", &file, "")), None, "it is the same blob");
    let folder = root().join("blobs").join(committee("c").to_string());
    let strays = [folder.join("stray"), folder.join(Hash::of(b"unnamed").to_string())];
    for stray in &strays {
        disk.create(stray).unwrap();
    }
    let disk = disk.kill();
    let store = open(&disk).unwrap();
    assert_eq!(runtime().block_on(store.collect_uploads(day(1))).unwrap(), 0);
    assert_eq!(runtime().block_on(store.collect_uploads(day(60))).unwrap(), 2);
    assert_eq!(disk.contents(&strays[0]), None);
    assert!(disk.contents(&blob_path("c", &file)).is_some());
}

#[test]
fn after_a_write_of_unknown_outcome_nothing_is_collected_and_nothing_begun() {
    let disk = FaultyDisk::new();
    let store = create(&disk);
    let file = file(1, 3_000);
    runtime().block_on(async {
        send(&store, "c", "d", &file).await.unwrap();
        disk.fail_next(Kind::Sync, Failure::Applied(std::io::ErrorKind::Other));
        name_blobs(&store, "c", "d", 0, &[&file]).await.unwrap_err();
        let stopped = store.collect_uploads(day(10_000)).await;
        assert!(matches!(stopped, Err(StoreError::StoreStopped)), "{stopped:?}");
        let begun = store.upload(committee("c"), device("d"), blob_of(b"another")).await;
        assert!(matches!(begun, Err(BlobError::Store(StoreError::StoreStopped))), "{begun:?}");
    });
    let store = open(&disk.kill()).unwrap();
    let found = runtime().block_on(read(&store, committee("c"), Hash::of(&file))).unwrap();
    assert_eq!(found, Some(file), "it was in the log after all");
}
