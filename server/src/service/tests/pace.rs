//! What a member who is no coordinator may do to a roster, and how often.

use sealpost_protocol::change::{Change, RepairGrant, Target};
use sealpost_protocol::id::MemberNumber;
use sealpost_protocol::world::{hybrid_file, next_lock, remove, suspend};

use super::*;
use crate::limits::{ROSTER_CHANGES_MAX, ROSTER_CHANGES_WITHIN};
use crate::service::log::Push;

#[tokio::test]
async fn a_change_by_no_coordinator_is_not_what_the_role_allows() {
    let fixture = Fixture::new().await;
    let device = TestDevice::new(MEMBER);
    let push = async |change: &Change| {
        let header = fixture.world.header(device.id(), EntryKind::Roster);
        let entry = Entry::sign(header, codec::encode(change), &device.signing);
        first_code(&fixture.push(login(&device), vec![entry.encode()]).await)
    };
    let founder = Target::Device(TestDevice::new(FOUNDER).id());
    assert_eq!(push(&suspend(founder)).await, Code::NotEntitled);
    assert_eq!(push(&remove(MemberNumber(1))).await, Code::NotEntitled);
}

#[tokio::test]
async fn a_member_who_is_no_coordinator_cannot_starve_a_suspension() {
    let mut fixture = Fixture::new().await;
    let (founder, device) = (TestDevice::new(FOUNDER), TestDevice::new(MEMBER));
    let readers: Vec<TestDevice> = (10..16).map(TestDevice::new).collect();
    for reader in &readers {
        fixture.world.admit(&founder, reader, MemberRole::Reader).unwrap();
        fixture.push_last(login(&founder)).await;
    }
    let log = fixture.service.log(fixture.committee()).unwrap();
    let service = fixture.service.clone();
    let push = |bytes: &[u8], now| {
        let entry = UnverifiedEntry::decode(bytes).unwrap();
        match log.push(&service.store, &service.key, Push::of(entry), now).unwrap().remove(0) {
            Outcome::At(_) => Ok(()),
            Outcome::Refused(code) => Err(code),
            Outcome::Past(_) => panic!("it is new"),
        }
    };
    let (world, began) = (&mut fixture.world, Instant::now());
    for _ in 0..=ROSTER_CHANGES_MAX {
        let header = world.header(device.id(), EntryKind::Roster);
        let unasked = codec::encode(&next_lock(world.committee.roster()));
        let unasked = Entry::sign(header, unasked, &device.signing);
        assert_eq!(push(&unasked.encode(), began), Err(Code::NotEntitled), "and is not counted");
    }
    // Each suspension asks for a lock, and the member is quicker every time.
    for (locks, reader) in readers.iter().enumerate() {
        world.change(&founder, &suspend(Target::Device(reader.id()))).unwrap();
        assert_eq!(push(world.log.last().unwrap(), began), Ok(()), "a coordinator is not counted");
        // A repair moves nobody's roster head.
        let (epoch, file) = (world.committee.roster().epoch(), hybrid_file().into());
        let repair = RepairGrant { device: founder.id(), epoch, file };
        world.change(&device, &Change::Grant(repair)).unwrap();
        assert_eq!(push(world.log.last().unwrap(), began), Ok(()), "a repair is not counted");
        world.change_locks(&device).unwrap();
        let expected = if locks < ROSTER_CHANGES_MAX { Ok(()) } else { Err(Code::TooMany) };
        assert_eq!(push(world.log.last().unwrap(), began), expected, "{locks} before");
    }
    assert_eq!(
        push(world.log.last().unwrap(), began + ROSTER_CHANGES_WITHIN),
        Ok(()),
        "the same bytes, later"
    );
}
