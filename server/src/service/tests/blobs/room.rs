//! How much room there is for blobs, for a committee and a device, and on the disk.

use super::*;

async fn with(options: BlobOptions) -> Fixture {
    let mut home = Home::real();
    home.options.blobs = options;
    Fixture::at(home).await
}

#[tokio::test]
async fn a_committee_has_so_much_room() {
    let options = BlobOptions { committee_bytes_max: 10_000, ..BlobOptions::DEFAULT };
    let mut fixture = with(options).await;
    let [founder, member] = two();
    attach(&mut fixture, &member, &file(1, 4_000)).await;
    put_part(&fixture, login(&founder), &file(2, 3_000), 1_000).await;
    let no_room = Some(refused(Code::NoRoom));
    assert_eq!(put(&fixture, login(&member), &file(3, 5_001)).await, no_room);
    // What an upload that runs is still to bring is taken already.
    let mut running = Put::begin(&fixture, login(&member), blob_of(&file(4, 5_000)));
    assert_eq!(running.offset().await, 0);
    assert_eq!(put(&fixture, login(&founder), &file(2, 3_000)).await, no_room);
    running.end().await;
    let fixture = fixture.restart().await;
    assert_eq!(put(&fixture, login(&member), &file(3, 5_001)).await, no_room, "after a restart");
    assert_eq!(put(&fixture, login(&member), &file(3, 5_000)).await, DONE);
}

#[tokio::test]
async fn a_further_upload_of_a_device_displaces_its_oldest_that_does_not_run() {
    let options =
        BlobOptions { device_uploads_max: 3, device_running_max: 9, ..BlobOptions::DEFAULT };
    let mut fixture = with(options).await;
    let [founder, member] = two();
    let files: Vec<Vec<u8>> = (1..=5).map(|seed| file(seed, 1_000)).collect();
    put_part(&fixture, login(&founder), &files[0], 500).await;
    let mut oldest = Put::begin(&fixture, login(&member), blob_of(&files[0]));
    oldest.offset().await;
    put_part(&fixture, login(&member), &files[1], 500).await;
    assert_eq!(put(&fixture, login(&member), &files[2]).await, DONE);
    assert_eq!(put(&fixture, login(&member), &files[3]).await, DONE);
    assert_eq!(put_part(&fixture, login(&founder), &files[0], 600).await, 500, "another device's");
    oldest.send(&files[0]).await;
    assert_eq!(oldest.end().await, DONE, "it ran");
    accepted(&push_naming(&mut fixture, &member, vec![blob_of(&files[2])]).await);
    // Of the others the first is gone, and the named one counts no more.
    assert_eq!(put_part(&fixture, login(&member), &files[1], 10).await, 0);
}

#[tokio::test]
async fn so_many_uploads_run_at_a_time() {
    for options in [
        BlobOptions { running_max: 2, ..BlobOptions::DEFAULT },
        BlobOptions { committee_running_max: 2, ..BlobOptions::DEFAULT },
    ] {
        so_many_run(BlobOptions { device_running_max: 1, ..options }).await;
    }
}

async fn so_many_run(options: BlobOptions) {
    let mut fixture = with(options).await;
    let [founder, member] = two();
    let third = TestDevice::new(3);
    fixture.world.admit(&founder, &third, MemberRole::Member).unwrap();
    fixture.push_last(login(&founder)).await;
    let (one, other) = (blob_of(&file(1, 100)), blob_of(&file(2, 100)));
    let mut first = Put::begin(&fixture, login(&member), one);
    first.offset().await;
    let mut second = Put::begin(&fixture, login(&member), other);
    assert_eq!(second.replies.recv().await, Some(refused(Code::TooMany)));
    let mut second = Put::begin(&fixture, login(&founder), other);
    second.offset().await;
    let mut beyond = Put::begin(&fixture, login(&third), other);
    assert_eq!(beyond.replies.recv().await, Some(refused(Code::Busy)));
    first.end().await;
    let mut again = Put::begin(&fixture, login(&third), other);
    assert_eq!(again.offset().await, 0);
}

#[tokio::test]
async fn a_full_disk_refuses_blobs_before_it_refuses_text() {
    let disk = FaultyDisk::new();
    let mut home = Home::faulty(&disk);
    home.options.blobs.reserve_bytes = 1_000_000;
    let mut fixture = Fixture::at(home).await;
    let member = TestDevice::new(MEMBER);
    disk.set_free_bytes(1_050_000);
    assert_eq!(put(&fixture, login(&member), &file(1, 50_001)).await, Some(refused(Code::Full)));
    assert_eq!(put(&fixture, login(&member), &file(1, 50_000)).await, DONE);
    let full = put(&fixture, login(&member), &file(2, 1)).await;
    assert_eq!(full, Some(refused(Code::Full)));
    fixture.world.record(&member).unwrap();
    assert_eq!(accepted(&fixture.push_last(login(&member)).await), [LeafIndex(2)]);
}

#[tokio::test]
async fn a_disk_that_fills_up_under_an_upload_keeps_what_is_whole() {
    let disk = FaultyDisk::new();
    let mut home = Home::faulty(&disk);
    home.options.blobs.reserve_bytes = 0;
    let fixture = Fixture::at(home).await;
    let member = login(&TestDevice::new(MEMBER));
    let file = file(1, 200_000);
    disk.set_free_bytes(u64::MAX - 1);
    let mut put = Put::begin(&fixture, member, blob_of(&file));
    put.offset().await;
    put.send(&file[..64_000]).await;
    while fixture.service.store().blob_counts().received_bytes < 64_000 {
        tokio::task::yield_now().await;
    }
    disk.set_free_bytes(10);
    put.send(&file[64_000..]).await;
    assert_eq!(put.end().await, Some(refused(Code::Full)));
    disk.set_free_bytes(u64::MAX);
    let mut again = Put::begin(&fixture, member, blob_of(&file));
    assert_eq!(again.offset().await, 64_000);
    again.send(&file[64_000..]).await;
    assert_eq!(again.end().await, DONE);
}

/// An entry that is on its way to the disk holds what it names.
#[tokio::test]
async fn what_an_entry_under_way_names_is_not_displaced() {
    let disk = FaultyDisk::new();
    let mut home = Home::faulty(&disk);
    home.options.blobs.device_uploads_max = 1;
    let mut fixture = Fixture::at(home).await;
    let member = TestDevice::new(MEMBER);
    let files = [file(1, 1_000), file(2, 1_000)];
    assert_eq!(put(&fixture, login(&member), &files[0]).await, DONE);
    let entry = naming(&fixture.world, &member, vec![blob_of(&files[0])]);
    let held = disk.hold_syncs();
    let entries = vec![entry.encode().into()];
    let push = PushRequest { committee: fixture.committee(), entries };
    let mut pushing = stream(&fixture.service, login(&member), Request::Push(push));
    let log = fixture.service.log(fixture.committee()).unwrap();
    while log.with_fold(Committee::size) < TreeSize(3) {
        tokio::task::yield_now().await;
    }
    let mut further = Put::begin(&fixture, login(&member), blob_of(&files[1]));
    assert_eq!(further.replies.recv().await, Some(refused(Code::TooMany)));
    drop(held);
    accepted(&pushing.recv().await.unwrap());
    fixture.world.push(&entry).unwrap();
    let mut further = Put::begin(&fixture, login(&member), blob_of(&files[1]));
    while matches!(further.replies.recv().await, Some(Reply::Refused(_))) {
        // Its file is on the way to its place, and counts until then.
        further = Put::begin(&fixture, login(&member), blob_of(&files[1]));
    }
    let got = get(&fixture, login(&member), Hash::of(&files[0]), 0).await.unwrap();
    assert!(got == files[0]);
}
