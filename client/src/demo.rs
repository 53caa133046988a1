//! The whole way of a record, with a real relay, real homes and the commands a person would type.

use std::path::{Path, PathBuf};

use sealpost_protocol::code::Code;
use sealpost_protocol::frame::{PullRequest, Request};
use sealpost_protocol::id::{CommitteeId, TreeSize};
use sealpost_protocol::identity::DeviceIdentity;
use serde_json::{Value, json};

use crate::app::Session;
use crate::error::{Failure, Kind as Error};
use crate::random;
use crate::relay::{self, AskError};
use crate::transport::{Connection, Deadlines};
use crate::ui::{Format, Ui};

mod stage;

use stage::{Person, Relay, Stage};

/// The words by which the note is looked for in what the relay holds.
const MARKER: &str = "the court heard no defence witness";

/// Shows it.
pub fn show(session: &mut Session) -> Result<(), Failure> {
    let mut tale = Tale { ui: &mut session.ui };
    let stage = Stage::set()?;
    tale.say("A relay starts on this machine, as it would anywhere:");
    tale.command("sealpost-relay --data RELAY run --init --listen 127.0.0.1:0");
    let relay = Relay::start(&stage)?;
    tale.line(&relay.address);
    tale.command("sealpost-relay --data RELAY permit new");
    let permit = relay.permit()?;
    let (isla, baran) = people(&mut tale, &stage)?;
    let committee = found(&mut tale, &isla, &relay, &permit)?;
    let_in(&mut tale, &isla, &baran, text(&committee, "ref")?)?;
    let reference = file(&mut tale, &isla, text(&committee, "ref")?)?;
    let sealed = read(&mut tale, &isla, &baran, &reference)?;
    let hidden = compare(&mut tale, &relay, &sealed)?;
    let refused = uninvited(&mut tale, &relay, text(&committee, "id")?)?;
    by_hand(&mut tale);
    relay.stop()?;
    let result = json!({
        "record": reference, "sealed_bytes": sealed.len(), "plaintext_at_relay": !hidden,
        "uninvited": refused,
    });
    let words = "Done: the folder of the demo is removed.";
    Ok(session.ui.result(&result, words)?)
}

/// Tells it on stdout, or, with `--json`, beside the one result on stderr.
struct Tale<'u> {
    ui: &'u mut Ui,
}

impl Tale<'_> {
    fn say(&mut self, words: &str) {
        self.line("");
        self.line(words);
    }

    fn command(&mut self, line: &str) {
        self.line(&format!("  $ {line}"));
    }

    fn line(&mut self, line: &str) {
        match self.ui.format() {
            Format::Json => self.ui.talk(line),
            // A reader that went away has seen enough; the demo still cleans up.
            Format::Words => drop(self.ui.line(line)),
        }
    }
}

fn people(tale: &mut Tale<'_>, stage: &Stage) -> Result<(Person, Person), Failure> {
    tale.say(
        "Isla, a lawyer in Switzerland, and Baran, of a committee in Norway, each on a machine:",
    );
    tale.command("sealpost init --handle isla --country CH");
    let isla = stage.person("isla", "CH")?;
    tale.command("sealpost init --handle baran --country NO");
    let baran = stage.person("baran", "NO")?;
    tale.line("  (their passphrases are stretched less than yours will be, to save time)");
    Ok((isla, baran))
}

fn found(
    tale: &mut Tale<'_>,
    isla: &Person,
    relay: &Relay,
    permit: &str,
) -> Result<Value, Failure> {
    tale.say("Isla founds a committee. The relay gave leave, and learns no name:");
    tale.command("sealpost committee found --relay ADDRESS --permit CODE --name-from -");
    let arguments = ["committee", "found", "--relay", &relay.address, "--permit", permit];
    let founded = isla.runs(&[&arguments[..], &["--name-from", "-"]].concat(), "Reed letters")?;
    tale.line(text(&founded, "ref")?);
    Ok(founded)
}

fn let_in(
    tale: &mut Tale<'_>,
    isla: &Person,
    baran: &Person,
    committee: &str,
) -> Result<(), Failure> {
    tale.say("She invites Baran over any channel, and he asks to be let in:");
    tale.command(&format!("sealpost invite new --committee {committee}"));
    let invited = isla.runs(&["invite", "new", "--committee", committee], "")?;
    let invitation = text(&invited, "invitation")?;
    tale.line(&format!("{}…", invitation.get(..60).unwrap_or(invitation)));
    tale.command("sealpost join                      (as baran)");
    let asked = baran.runs(&["join"], invitation)?;
    tale.line(&format!("Safety number   {}", text(&asked, "safety_number")?));
    tale.say(
        "They compare the number by voice; it is the same on her side, so nobody stands between:",
    );
    tale.command("sealpost member list --asking");
    let asking = isla.runs(&["member", "list", "--asking"], "")?;
    let first = asking.get(0).ok_or_else(|| broken("nobody asks to join"))?;
    tale.line(&format!("{}  {}", text(first, "handle")?, text(first, "safety_number")?));
    let (device, number) = (text(first, "ref")?, text(first, "safety_number")?);
    if text(&asked, "safety_number")? != number {
        return Err(broken("the safety numbers differ"));
    }
    tale.command(&format!("sealpost member admit {device} --safety-number \"{number}\""));
    isla.runs(&["member", "admit", device, "--safety-number", number], "")?;
    Ok(())
}

fn file(tale: &mut Tale<'_>, isla: &Person, committee: &str) -> Result<String, Failure> {
    tale.say("From the court, Isla files a trial note. It is sealed here and signed, then sent:");
    tale.command(&format!("sealpost record new trial-note --committee {committee} --from -"));
    let note = json!({
        "hearing": "Ağır Ceza 23, case Reed-12",
        "role_of_author": "defence-lawyer",
        "what_happened": format!("Second day. Seven were brought in, and {MARKER}."),
        "lang": "en",
    });
    tale.line(&format!("  {note}"));
    let arguments = ["record", "new", "trial-note", "--committee", committee, "--from", "-"];
    let saved = isla.runs(&arguments, &note.to_string())?;
    tale.line(&format!("{}  {}", text(&saved, "ref")?, text(&saved, "state")?));
    tale.command("sealpost sync                      (as isla)");
    isla.runs(&["sync"], "")?;
    Ok(text(&saved, "ref")?.to_owned())
}

/// Baran reads it; returns the sealed bytes as he got them.
fn read(
    tale: &mut Tale<'_>,
    isla: &Person,
    baran: &Person,
    reference: &str,
) -> Result<Vec<u8>, Failure> {
    tale.say("In the other country Baran syncs, verifies, and reads:");
    tale.command("sealpost sync                      (as baran)");
    let synced = baran.runs(&["sync"], "")?;
    tale.line(&format!("  {} entries received and verified", synced["received"]));
    tale.command(&format!("sealpost record show {reference}"));
    let shown = baran.runs(&["record", "show", reference], "")?;
    let happened = shown["record"]["what_happened"].as_str().unwrap_or_default();
    if !happened.contains(MARKER) {
        return Err(broken("the note that arrived is another one"));
    }
    tale.line(&format!("  by {}: {happened}", text(&shown["entry"], "author")?));
    let sealed = baran.sealed(reference)?;
    if sealed != isla.sealed(reference)? {
        return Err(broken("the two hold different bytes"));
    }
    Ok(sealed)
}

/// Looks into everything the relay keeps. Whether the words are nowhere in it.
fn compare(tale: &mut Tale<'_>, relay: &Relay, sealed: &[u8]) -> Result<bool, Failure> {
    tale.say("What the relay holds of the same note, and whoever seizes it:");
    let files = relay.files()?;
    let find = |wanted: &[u8]| {
        let at = |bytes: &[u8]| bytes.windows(wanted.len()).position(|window| window == wanted);
        files.iter().find_map(|(name, bytes)| Some((name, at(bytes)?)))
    };
    let (name, at) = find(sealed).ok_or_else(|| broken("the relay does not hold the note"))?;
    tale.line(&format!(
        "  {} at byte {at}, {} bytes of an age file:",
        name.display(),
        sealed.len()
    ));
    for line in sealed.chunks(16).take(14) {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let visible = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' };
        let text: String = line.iter().map(visible).collect();
        tale.line(&format!("  {}  {text}", hex.join(" ")));
    }
    let hidden = find(MARKER.as_bytes()).is_none();
    if !hidden {
        return Err(broken("the note's words stand in the relay's folder"));
    }
    tale.line(&format!("  \"{MARKER}\": in none of its {} files", files.len()));
    Ok(hidden)
}

fn uninvited(tale: &mut Tale<'_>, relay: &Relay, committee: &str) -> Result<String, Failure> {
    tale.say(
        "Somebody who was not invited, and knows the committee's id, asks the relay for its log:",
    );
    let stranger = DeviceIdentity::generate(&*random::secret()?);
    let known: CommitteeId = committee.parse().map_err(|_| broken("no committee id"))?;
    let unknown = CommitteeId(sealpost_protocol::hash::Hash::ZERO);
    let address = relay::address_of(&relay.address)?;
    let code = |asked: Result<_, AskError>| match asked {
        Err(AskError::Refused(code)) => Ok(code),
        Err(error) => Err(Failure::from(error)),
        Ok(_) => Err(broken("a stranger was served")),
    };
    let codes = relay::run(async {
        let login = stranger.login_key();
        let connection = Connection::open(&address, login, Deadlines::default()).await?;
        let mut codes = Vec::new();
        for committee in [known, unknown] {
            let request = Request::Pull(PullRequest { committee, from: TreeSize(0) });
            codes.push(code(relay::ask(&connection, &request).await)?);
        }
        connection.close().await;
        Ok(codes)
    })?;
    if codes != [Code::NotFound, Code::NotFound] {
        return Err(broken("a stranger can tell the committee from one that does not exist"));
    }
    tale.line("  NotFound: the same answer as for a committee that does not exist.");
    Ok(Code::NotFound.name().to_owned())
}

fn by_hand(tale: &mut Tale<'_>) {
    tale.say("The same by hand: on a server `sealpost-relay --data DIR run --init --listen 0.0.0.0:4433`");
    tale.line("with `--advertise HOST:4433`, then the commands above, each on its own machine,");
    tale.line(
        "without --json and with a passphrase of your own. `sealpost COMMAND --help` says more.",
    );
    tale.line("");
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str, Failure> {
    value[name].as_str().ok_or_else(|| broken(&format!("a command did not say {name}")))
}

fn broken(what: &str) -> Failure {
    Failure::new(Error::Failed, format!("The demo came out wrong: {what}"))
        .safe("Your own vault was not touched.")
        .next("Please report this.")
}

/// A path below `folder` for people.
fn below<'p>(path: &'p Path, folder: &Path) -> &'p Path {
    path.strip_prefix(folder).unwrap_or(path)
}

/// The relay's program: beside this one, else in PATH.
fn relay_program() -> Result<PathBuf, Failure> {
    const NAME: &str = "sealpost-relay";
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(NAME)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join(NAME));
    beside.into_iter().chain(in_path).find(|program| program.is_file()).ok_or_else(|| {
        Failure::new(Error::NotFound, "There is no sealpost-relay beside this program or in PATH")
            .next("cargo build --release -p sealpost-relay")
    })
}
