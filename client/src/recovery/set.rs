//! Making a spare and sharing it out.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use sealpost_protocol::change;
use sealpost_protocol::checkpoint::Cosigner;
use sealpost_protocol::hybrid::Recipient;
use sealpost_protocol::id::{Country, DeviceId, MemberNumber};
use sealpost_protocol::limits::{MEMBER_DEVICES_MAX, SHARES_MAX, SHARES_MIN};
use sealpost_protocol::recovery::{RecoverySecret, combine, seal_share};
use sealpost_protocol::roster::{Roster, Standing};

use crate::app::App;
use crate::changes::{Intent, ShareOf};
use crate::error::{Failure, Kind as Error};
use crate::log::Log;
use crate::names;
use crate::random;
use crate::vault::committees::CommitteeNo;
use crate::vault::drills::Drill;
use crate::vault::evidence::Cosigned;

/// Who is to help, and how many of them.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The helpers.
    pub helpers: Vec<MemberNumber>,
    /// How many of them bring the owner back.
    pub threshold: u8,
    /// Whether they may all be in one country.
    pub same_country: bool,
}

/// A spare, shared out and not sent yet. The secret and the shares are gone.
pub struct Made {
    /// The spare.
    pub spare: DeviceId,
    /// Its admission, and then its sharing.
    pub intents: [Intent; 2],
    /// What each helper's device is to say in a drill.
    pub drills: Vec<Drill>,
    /// The spare that it is to replace.
    pub before: Option<DeviceId>,
    /// What is to be told of the choice.
    pub warnings: Vec<String>,
}

/// Makes a spare and seals a share of it to each helper.
pub fn make(app: &App, no: CommitteeNo, wish: &Wish) -> Result<Made, Failure> {
    let (log, marks, label) = app.vault.read(|vault| {
        let log = Log::load(vault, no)?;
        let label = names::label(&log.known)?;
        Ok::<_, Failure>((log, vault.cosignatures(no)?, label))
    })?;
    let fold = log.pulled()?;
    let roster = fold.roster();
    let own = roster.device(app.device.device_id()).map(|device| device.member);
    check_numbers(own, wish)?;
    let before = own.and_then(|own| roster.spare_of(own)).map(|spare| spare.device);
    check_room(roster, own, before)?;
    let country = |member: &MemberNumber| {
        label.as_ref().and_then(|label| label.members.get(member)).map(|member| member.country)
    };
    let countries: Vec<Option<Country>> = wish.helpers.iter().map(country).collect();
    let warnings = check_countries(&countries, wish)?;
    let devices: Vec<DeviceId> = wish
        .helpers
        .iter()
        .map(|member| device_of(roster, &marks, *member))
        .collect::<Result<_, _>>()?;
    let secret = RecoverySecret::generate(&*random::secret()?);
    let card = secret.spare().card();
    let shares = secret.split(fold.id(), wish.threshold, &devices, &*random::secret()?)?;
    // Helpers each see one share: that any of them together make this spare is seen here alone.
    let together = combine(&shares).map(|secret| secret.spare().device_id());
    if together != Ok(card.device()) {
        return Err(Failure::new(Error::Failed, "The shares do not make the spare")
            .safe("Nothing was changed.")
            .next("Type it again."));
    }
    let (mut sealed, mut drills) = (Vec::new(), Vec::new());
    for share in &shares {
        let helper = share.helper();
        let card = &roster.device(helper).ok_or_else(unreachable_helper)?.card;
        let file = seal_share(share, &Recipient::from_bytes(&card.recipient().0)?);
        sealed.push(change::Share { device: helper, file: file.into() });
        let code = share.drill_code();
        drills.push(Drill { helper, code, passed: None });
    }
    sealed.sort_by_key(|share| share.device);
    let recovery = Intent::Recovery {
        spare: card.device().to_string(),
        threshold: wish.threshold,
        shares: sealed.iter().map(ShareOf::from).collect(),
    };
    let device = Intent::Device { card: HEXLOWER.encode(card.as_bytes()) };
    Ok(Made { spare: card.device(), intents: [device, recovery], drills, before, warnings })
}

/// A spare is let in before the one that it replaces ends.
fn check_room(
    roster: &Roster,
    own: Option<MemberNumber>,
    before: Option<DeviceId>,
) -> Result<(), Failure> {
    let lasts = |id: DeviceId| !matches!(roster.standing_of(id), Some(Standing::Ended(_)));
    let devices = own.into_iter().flat_map(|own| roster.devices_of(own));
    if devices.filter(|(id, _)| lasts(*id)).count() < MEMBER_DEVICES_MAX {
        return Ok(());
    }
    let what = format!("You have {MEMBER_DEVICES_MAX} devices, and no more are allowed");
    let next = match before {
        Some(spare) => format!("sealpost device retire {}, the spare", names::device_ref(&spare)),
        None => "sealpost device show, and retire one".to_owned(),
    };
    Err(Failure::new(Error::Usage, what).safe("Nothing was changed.").next(next))
}

fn check_numbers(own: Option<MemberNumber>, wish: &Wish) -> Result<(), Failure> {
    let (count, threshold) = (wish.helpers.len(), usize::from(wish.threshold));
    let usage = |what: String| Failure::new(Error::Usage, what).safe("Nothing was changed.");
    if own.is_some_and(|own| wish.helpers.contains(&own)) {
        return Err(usage("Your own devices cannot help: all are lost together".to_owned())
            .next("Name other members."));
    }
    if wish.helpers.iter().collect::<BTreeSet<_>>().len() != count {
        return Err(usage("A helper is named twice".to_owned()).next("Name each once."));
    }
    if !(SHARES_MIN..=count.min(SHARES_MAX)).contains(&threshold) || count > SHARES_MAX {
        return Err(usage(format!(
            "{threshold} of {count} helpers: it takes at least {SHARES_MIN}, of at most {SHARES_MAX}"
        ))
        .next(super::SET));
    }
    Ok(())
}

/// One search must not reach all helpers, and had better not reach enough of them.
fn check_countries(countries: &[Option<Country>], wish: &Wish) -> Result<Vec<String>, Failure> {
    let mut helpers_in = BTreeMap::<Option<Country>, usize>::new();
    for country in countries {
        *helpers_in.entry(*country).or_default() += 1;
    }
    if wish.same_country {
        return Ok(Vec::new());
    }
    // Where somebody does not say where they are, nobody knows it to be elsewhere.
    if helpers_in.keys().flatten().count() < 2 {
        return Err(Failure::new(Error::Usage, "All helpers are in one country")
            .safe("Nothing was changed.")
            .next("Name one in another country, or add --same-country if there is none."));
    }
    let enough = |(_, count): &(&Option<Country>, &usize)| **count >= usize::from(wish.threshold);
    let warning = |(country, count): (&Option<Country>, &usize)| {
        let country = country.map_or_else(|| "one country".to_owned(), |it| it.to_string());
        format!("{count} helpers are in {country}: enough, should they be forced, to act as you")
    };
    Ok(helpers_in.iter().filter(enough).map(warning).collect())
}

/// The device of a helper that was heard of last.
fn device_of(
    roster: &Roster,
    marks: &[Cosigned],
    member: MemberNumber,
) -> Result<DeviceId, Failure> {
    let last_heard = |id: &DeviceId| {
        let signer = Cosigner::Device(*id).to_string();
        marks.iter().find(|mark| mark.signer == signer).map_or(0, |mark| mark.at.0)
    };
    let fits = |id: &DeviceId| roster.is_active(*id) && !roster.is_spare(*id);
    let devices = roster.devices_of(member).map(|(id, _)| id).filter(fits);
    devices.max_by_key(last_heard).ok_or_else(unreachable_helper)
}

fn unreachable_helper() -> Failure {
    Failure::new(Error::NotFound, "A helper has no active device")
        .safe("Nothing was changed.")
        .next("sealpost member list, and name others")
}
