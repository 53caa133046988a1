//! A larger committee: people in several countries, some of whom coordinate.

use serde_json::Value;

use crate::home::Home;
use crate::programs::Programs;
use crate::ran::Ran;
use crate::relay::Relay;

/// A committee of many, with its people by handle.
#[derive(Debug)]
pub struct Village {
    /// Its REF.
    pub committee: String,
    /// The founder first.
    pub people: Vec<(String, Home)>,
}

impl Village {
    /// Founds a committee on `relay` and lets everybody in: `(handle, country, role)`, the first being
    /// the founder.
    ///
    /// # Panics
    /// When a step fails.
    #[track_caller]
    pub fn of(programs: &Programs, relay: &Relay, people: &[(&str, &str, &str)]) -> Self {
        Self::at(programs, relay, relay.address(), people)
    }

    /// As [`Village::of`], reaching the relay at another address: a proxy's.
    ///
    /// # Panics
    /// When a step fails.
    #[track_caller]
    pub fn at(
        programs: &Programs,
        relay: &Relay,
        address: &str,
        people: &[(&str, &str, &str)],
    ) -> Self {
        let home = |(handle, country, _): &(&str, &str, &str)| {
            ((*handle).to_owned(), Home::in_country(programs, handle, country))
        };
        let homes: Vec<(String, Home)> = people.iter().map(home).collect();
        let committee = homes[0].1.found(address, &relay.permit(), "Harbour");
        let village = Self { committee, people: homes };
        for (handle, _, role) in &people[1..] {
            village.let_in(village.home(handle), role);
        }
        village.everybody_syncs();
        village
    }

    /// Has the founder let somebody in with a role.
    ///
    /// # Panics
    /// When a step fails.
    #[track_caller]
    pub fn let_in(&self, newcomer: &Home, role: &str) {
        let founder = &self.people[0].1;
        let new = ["invite", "new", "--committee", &self.committee, "--role", role];
        let invitation = founder.run(&new).exits(0).field("invitation");
        let _ = newcomer.join(&invitation).exits(0);
        founder.sync();
        let asking = founder.asking();
        let [asking] = asking.as_slice() else { panic!("one asks: {asking:?}") };
        let _ = founder.admit(asking).exits(0);
        newcomer.sync();
    }

    /// Somebody's machine.
    ///
    /// # Panics
    /// When nobody has that handle.
    #[track_caller]
    pub fn home(&self, handle: &str) -> &Home {
        let found = self.people.iter().find(|(called, _)| called == handle);
        &found.unwrap_or_else(|| panic!("nobody is called {handle}")).1
    }

    /// Runs a command of somebody's.
    #[track_caller]
    pub fn run(&self, handle: &str, arguments: &[&str]) -> Ran {
        self.home(handle).run(arguments)
    }

    /// Everybody syncs, one after the other.
    ///
    /// # Panics
    /// When anybody cannot.
    #[track_caller]
    pub fn everybody_syncs(&self) {
        for (_, home) in &self.people {
            home.sync();
        }
    }

    /// The REF of what somebody proposed, as the command that proposed it names it.
    ///
    /// # Panics
    /// When nothing waits.
    #[track_caller]
    pub fn proposed(ran: &Ran) -> String {
        let json: Value = ran.json();
        let reference = json["approve"].as_str();
        reference.unwrap_or_else(|| panic!("nothing waits: {ran:?}")).to_owned()
    }

    /// The texts of all notes that somebody can read, in the order of the log.
    ///
    /// # Panics
    /// When one that is listed as readable is not.
    #[track_caller]
    pub fn reads(&self, handle: &str) -> Vec<String> {
        let home = self.home(handle);
        let readable = |row: &&Value| row["state"] == "accepted" || row["state"] == "confirmed";
        let mut texts: Vec<(u64, String)> = home
            .records()
            .iter()
            .filter(readable)
            .map(|row| {
                let shown = home.show(row["ref"].as_str().expect("a REF"));
                let index = shown["entry"]["leaf_index"].as_u64().expect("it is in the log");
                (index, shown["record"]["text"].as_str().unwrap_or_default().to_owned())
            })
            .collect();
        texts.sort();
        texts.into_iter().map(|(_, text)| text).collect()
    }
}
