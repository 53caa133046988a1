//! Where most scenarios begin: a committee of two people in two countries.

use crate::home::Home;
use crate::programs::Programs;
use crate::relay::{Options, Relay};

/// A relay, and two people who are in one committee there.
#[derive(Debug)]
pub struct Scene {
    /// The relay.
    pub relay: Relay,
    /// The founder, in Switzerland.
    pub isla: Home,
    /// A member, in Türkiye.
    pub baran: Home,
    /// The committee's REF.
    pub committee: String,
}

impl Scene {
    /// Sets it.
    ///
    /// # Panics
    /// When a step fails.
    #[track_caller]
    pub fn new(programs: &Programs) -> Self {
        let relay = Relay::start_with(programs, Options::default());
        let address = relay.address().to_owned();
        Self::at(programs, relay, &address)
    }

    /// Sets it on a relay that its people reach at `address`.
    ///
    /// # Panics
    /// When a step fails.
    #[track_caller]
    pub fn at(programs: &Programs, relay: Relay, address: &str) -> Self {
        let isla = Home::in_country(programs, "isla", "CH");
        let baran = Home::in_country(programs, "baran", "TR");
        let committee = isla.found(address, &relay.permit(), "Harbour");
        isla.let_in(&committee, &baran);
        Self { relay, isla, baran, committee }
    }
}
