use super::*;

/// All replies, or the error that ends them.
async fn all(script: Script, request: &Request) -> Result<Vec<Reply>, TransportError> {
    let relay = Relay::honest(script);
    let connection = relay.open().await?;
    let mut replies = connection.request(request).await?;
    let mut found = Vec::new();
    while let Some(reply) = replies.next().await? {
        found.push(reply);
    }
    Ok(found)
}

fn lie(result: Result<Vec<Reply>, TransportError>) -> PeerError {
    match result {
        Err(TransportError::Lied(lie)) => lie,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_comes_frame_by_frame() {
    let whole = [entries(), entries(), end()].concat();
    let replies = all(Script::Bytes(whole), &pull()).await.unwrap();
    assert!(matches!(replies[..], [Reply::Entries(_), Reply::Entries(_), Reply::End(_)]));
}

#[tokio::test]
async fn a_refusal_is_an_answer() {
    for request in [pull(), cosignatures(), watch()] {
        let replies = all(Script::Bytes(refusal(Code::NotFound)), &request).await.unwrap();
        assert_eq!(replies, [Reply::Refused(Refused { code: Code::NotFound })]);
    }
}

#[tokio::test]
async fn an_answer_to_something_else_is_a_lie() {
    let done = frame::encode(&Reply::Done(Empty {}));
    assert_eq!(lie(all(Script::Bytes(done), &pull()).await), PeerError::Unexpected);
    assert_eq!(lie(all(Script::Bytes(entries()), &cosignatures()).await), PeerError::Unexpected);
}

#[tokio::test]
async fn what_comes_after_the_last_reply_is_a_lie() {
    let more = [end(), end()].concat();
    assert_eq!(lie(all(Script::Bytes(more), &pull()).await), PeerError::Unexpected);
}

#[tokio::test]
async fn an_incomplete_answer_is_a_lie() {
    let no_end = lie(all(Script::Bytes(entries()), &pull()).await);
    assert_eq!(no_end, PeerError::Incomplete);
    let cut = entries()[..5].to_vec();
    let cut = lie(all(Script::Bytes(cut), &pull()).await);
    assert_eq!(cut, PeerError::Frame(PeerFrameError::CutOff));
    let nothing = lie(all(Script::Bytes(Vec::new()), &cosignatures()).await);
    assert_eq!(nothing, PeerError::Incomplete);
}

#[tokio::test]
async fn an_oversized_frame_is_a_lie_before_any_of_it_has_come() {
    let length = 1_000_000_000_u32.to_be_bytes().to_vec();
    let error = lie(all(Script::Stall(length), &pull()).await);
    assert!(matches!(error, PeerError::Frame(PeerFrameError::TooLarge { .. })), "{error}");
}

#[tokio::test]
async fn an_endless_answer_is_a_lie_and_stops_the_relay() {
    let relay = Relay::honest(Script::Repeat(entries()));
    // What ends it is its length, on however slow a machine.
    let (login, patient) = (login(), Deadlines::default());
    let connection = Connection::open(&relay.address, &login, patient).await.unwrap();
    let mut replies = connection.request(&pull()).await.unwrap().at_most(100_000);
    let error = loop {
        match replies.next().await {
            Ok(reply) => assert!(reply.is_some()),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, TransportError::Lied(PeerError::Endless(100_000))), "{error}");
    let sent = relay.seen.sent.load(Ordering::SeqCst);
    assert!(sent < 100_000 + 2 * 2 * 1024 * 1024, "{sent} bytes sent: more than two windows");
}

#[tokio::test]
async fn an_answer_that_stands_still_is_slow() {
    for bytes in [Vec::new(), entries(), entries()[..6].to_vec()] {
        let error = all(Script::Stall(bytes), &pull()).await.unwrap_err();
        assert!(matches!(error, TransportError::TooSlow), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_drips_is_slow() {
    let nothing = frame::encode(&Reply::Entries(Vec::new()));
    let request = pull();
    let dripping = all(Script::Drip(nothing), &request);
    let ended = timeout(quick().pause * 20, dripping).await.expect("it is given up");
    assert!(matches!(ended, Err(TransportError::TooSlow)), "{ended:?}");
}

#[tokio::test]
async fn a_watch_may_be_silent_but_not_stand_still_within_a_frame() {
    let ask = HeadAsk { committee: committee(), size: TreeSize(1) };
    let grown = frame::encode(&Reply::Grown(ask));
    let relay = Relay::honest(Script::Stall(grown.clone()));
    let connection = relay.open().await.unwrap();
    let mut replies = connection.request(&watch()).await.unwrap();
    assert_eq!(replies.next().await.unwrap(), Some(Reply::Grown(ask)));
    let longer = quick().pause * 2;
    assert!(timeout(longer, replies.next()).await.is_err(), "still waiting");

    let half = [grown.as_slice(), &grown[..6]].concat();
    let error = all(Script::Stall(half), &watch()).await.unwrap_err();
    assert!(matches!(error, TransportError::TooSlow), "{error}");
}

#[tokio::test]
async fn a_relay_that_stops_or_vanishes_is_named() {
    let stopping = all(Script::Close(CloseCode::Stopping), &pull()).await.unwrap_err();
    assert!(matches!(stopping, TransportError::TurnedAway(_)), "{stopping}");
    let idle = all(Script::Close(CloseCode::Idle), &pull()).await.unwrap_err();
    assert!(matches!(idle, TransportError::Lost(_)), "{idle}");
}

#[tokio::test]
async fn requests_run_beside_each_other() {
    let relay = Relay::honest(Script::Bytes(refusal(Code::NotFound)));
    let connection = relay.open().await.unwrap();
    let mut first = connection.request(&pull()).await.unwrap();
    let mut second = connection.request(&cosignatures()).await.unwrap();
    assert!(second.next().await.unwrap().is_some());
    assert!(first.next().await.unwrap().is_some());
}
