use crate::changes::{Intent, PolicyParts, RoleName, Whom};
use crate::village::{MemoryRelay, Person};

/// Three coordinators and a member.
fn scene() -> (MemoryRelay, [Person; 4]) {
    let mut relay = MemoryRelay::new(9);
    let (isla, others) = crate::village::three_coordinators(&mut relay);
    let [olga, tomas, baran] = others;
    (relay, [isla, olga, tomas, baran])
}

fn two_approvals() -> Intent {
    Intent::Policy(PolicyParts { approvals: Some(2), ..PolicyParts::default() })
}

#[test]
fn a_suspension_is_told_with_the_command_that_says_what_they_hold() {
    let (mut relay, [mut isla, mut olga, _, baran]) = scene();
    isla.wants(&Intent::Suspend { whom: Whom::Member(baran.number()) });
    isla.sends_all(&mut relay);
    let news = olga.follows(&relay).expect("followed").news;
    assert!(news[0].contains("isla suspended baran"), "{news:?}");
    assert!(news[0].contains("sealpost member exposure DV-"), "{news:?}");
}

#[test]
fn a_proposal_is_told_with_the_command_to_whoever_may_approve_it_and_no_other() {
    let (mut relay, [mut isla, mut olga, mut tomas, mut baran]) = scene();
    isla.wants(&two_approvals());
    isla.wants(&Intent::Role { member: baran.number(), role: RoleName::Coordinator });
    isla.sends_all(&mut relay);
    for (person, may) in [(&mut olga, true), (&mut tomas, true), (&mut baran, false)] {
        let news = person.follows(&relay).expect("followed").news;
        let told =
            news.iter().find(|line| line.contains("isla proposes to make baran coordinator"));
        let told = told.expect("told");
        assert_eq!(told.contains("sealpost approve RC-"), may, "{told}");
        assert_eq!(told.contains("waits for olga, tomas"), !may, "{told}");
    }
}

#[test]
fn a_coordinators_suspension_is_told_as_one_to_decide() {
    let (mut relay, [mut isla, olga, mut tomas, _]) = scene();
    isla.wants(&two_approvals());
    isla.sends_all(&mut relay);
    isla.wants(&Intent::Suspend { whom: Whom::Member(olga.number()) });
    isla.sends_all(&mut relay);
    let news = tomas.follows(&relay).expect("followed").news;
    let told = news.iter().find(|line| line.contains("suspended a coordinator")).expect("told");
    assert!(told.contains("let the suspension of olga stand: sealpost approve RC-"), "{told}");
}

#[test]
fn what_one_did_oneself_and_what_came_before_is_no_news() {
    let (mut relay, [mut isla, ..]) = scene();
    isla.wants(&two_approvals());
    let mut news = Vec::new();
    for bytes in isla.prepares() {
        relay.append(&bytes).expect("no rule forbids it");
        news.extend(isla.follows(&relay).expect("followed").news);
    }
    let mut mira = Person::joins("mira", &mut isla, &mut relay);
    news.extend(mira.follows(&relay).expect("let in").news);
    assert!(news.is_empty(), "{news:?}");
}

#[test]
fn what_became_void_before_it_was_told_is_not_told_as_done() {
    let (mut relay, [mut isla, olga, mut tomas, baran]) = scene();
    isla.wants(&two_approvals());
    isla.sends_all(&mut relay);
    tomas.follows(&relay).expect("followed");
    isla.wants(&Intent::Remove { member: baran.number() });
    isla.sends_all(&mut relay);
    // Other active coordinators: what waited is void.
    isla.wants(&Intent::Suspend { whom: Whom::Member(olga.number()) });
    isla.sends_all(&mut relay);
    let news = tomas.follows(&relay).expect("followed").news;
    assert!(news.iter().all(|line| !line.contains("removed baran")), "{news:?}");
    let told = news.iter().find(|line| line.contains("wanted to remove baran")).expect("told");
    assert!(told.ends_with("it is not so now"), "{told}");
}
