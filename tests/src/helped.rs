//! A committee in which one has shared a way back in between two others, and a fourth, who coordinates too,
//! calls everybody names.

use sealpost_protocol::change::{self, Change};
use sealpost_protocol::codec;
use sealpost_protocol::entry::Kind;
use sealpost_protocol::id::MemberNumber;
use sealpost_protocol::limits;
use sealpost_protocol::seal::{Label, LabelMember};
use serde_json::Value;

use crate::home::Home;
use crate::programs::Programs;
use crate::rogue::Rogue;
use crate::scene::Scene;

/// Isla and Olga hold the shares of Baran's spare; Mallory is a hostile coordinator.
pub struct Helped {
    /// The relay, Isla and Baran.
    pub scene: Scene,
    /// The third one.
    pub olga: Home,
    /// The REF of Baran's device: a name that nobody can change.
    pub owner: String,
    mallory: Rogue,
}

impl Helped {
    /// Sets it.
    ///
    /// # Panics
    /// When a step fails.
    #[track_caller]
    pub fn new(programs: &Programs) -> Self {
        let scene = Scene::new(programs);
        let olga = Home::in_country(programs, "olga", "DE");
        scene.isla.let_in(&scene.committee, &olga);
        let mut mallory = Rogue::ask(&scene.isla.invite(&scene.committee), "mallory");
        scene.isla.sync();
        let _ = scene.isla.admit(mallory.among(&scene.isla.asking())).exits(0);
        let _ = scene.isla.run(&["member", "role", "mallory", "coordinator"]).exits(0);
        mallory.follow();
        scene.baran.sync();
        let set = ["recovery", "set", "--threshold", "2", "--helpers", "isla", "olga"];
        let _ = scene.baran.run(&set).exits(0);
        let owner = scene.baran.run(&["device", "show"]).exits(0).field("ref");
        for helper in [&scene.isla, &olga] {
            helper.sync();
            let shares = helper.run(&["recovery", "show"]).exits(0).json();
            assert_eq!(shares.as_array().map(Vec::len), Some(1), "{shares}");
        }
        Self { scene, olga, owner, mallory }
    }

    /// Mallory says in the log how the committee is called, and Isla, Baran, Olga and Mallory. What is too
    /// long for a name, or not one's own, is made to fit.
    ///
    /// # Panics
    /// When the relay refuses.
    #[track_caller]
    pub fn everybody_is_called(&mut self, name: &str, handles: [&str; 4]) {
        self.mallory.follow();
        let fitting = |number: usize, text: &str, max: usize| {
            let mut fits = format!("{number}{text}");
            fits.truncate(fits.floor_char_boundary(max));
            fits
        };
        let member = |(at, handle): (usize, &str)| {
            let number = u32::try_from(at + 1).expect("there are four");
            let handle = fitting(at, handle, limits::HANDLE_BYTES_MAX);
            let country = "CH".parse().expect("two letters");
            (MemberNumber(number), LabelMember { handle, country })
        };
        let label = Label {
            name: fitting(0, name, limits::COMMITTEE_NAME_BYTES_MAX),
            members: handles.into_iter().enumerate().map(member).collect(),
        };
        let sealed = self.mallory.keys().seal_label(&label).expect("it fits").into();
        let change = codec::encode(&Change::Label(change::Label { sealed }));
        let header = self.mallory.header(Kind::Roster);
        self.mallory.push(header, change).expect("a coordinator may");
    }

    /// One helper's share goes to a device that Baran comes back on.
    ///
    /// # Panics
    /// When a step fails.
    #[track_caller]
    pub fn helps(&self, helper: &Home, new: &Home) {
        let code = self.code(helper);
        let _ = new.run_with(&["recovery", "claim"], code.as_bytes()).exits(0);
        helper.sync();
        let device = new.run(&["device", "show"]).exits(0).field("ref");
        let asking = helper.asking();
        let asks = asking.iter().find(|asking| asking.reference == device).expect("it asks");
        let help = ["recovery", "help", &device, "--safety-number", &asks.safety_number];
        let _ = helper.run(&help).exits(0);
    }

    /// What a helper makes for Baran to claim with.
    ///
    /// # Panics
    /// When it is not made.
    #[track_caller]
    pub fn code(&self, helper: &Home) -> String {
        let made: Value = helper.run(&["recovery", "help", &self.owner]).exits(0).json();
        made["code"].as_str().expect("a text").to_owned()
    }
}
