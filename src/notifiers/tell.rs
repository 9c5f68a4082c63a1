//! Sending: what is about to be sent is written down first, and what may have been shown before a crash is looked for and not shown again.
//!
//! Every message is shown at least once. Where messages can be found again it is shown once, whatever call the process ends in; by a
//! webhook that can only post, what was being sent when the process ended is sent again.

use jiff::civil::Date;

use crate::model::id::RunId;
use crate::model::notify::{Effect, Sending, Step, Told, Way};
use crate::model::time::Timestamp;
use crate::world::{ErrorClass, Notifier, WorldError};

/// Who sends, and when.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The run that is told of.
    pub run: RunId,
    /// Now.
    pub at: Timestamp,
    /// The day at the notifier.
    pub date: Date,
}

/// Sends `steps` in their order. `keep` writes down what was told; before it has, nothing is sent.
///
/// # Errors
/// At the first message that could not be sent, and when what was told cannot be written down: the rest is for [`finish`].
pub async fn tell(
    notifier: &dyn Notifier,
    told: &mut Told,
    steps: Vec<Step>,
    sender: &Sender,
    keep: &mut (dyn FnMut(&Told) -> Result<(), WorldError> + Send),
) -> Result<(), WorldError> {
    if steps.is_empty() && told.run.is_some() {
        return Ok(());
    }
    if !steps.is_empty() {
        told.sending = Some(Sending { run: sender.run.clone(), since: sender.at, date: sender.date, steps, failed: None });
        keep(told)?;
    }
    deliver(notifier, told, Doubt { looks: false, late: false }, keep).await?;
    told.run.get_or_insert_with(|| sender.run.clone());
    told.sending = None;
    keep(told)
}

/// Ends what an earlier run began to send and did not end. What is of another day than `today` is sent only where nothing newer says
/// the same.
///
/// # Errors
/// As [`tell`].
pub async fn finish(
    notifier: &dyn Notifier,
    told: &mut Told,
    today: Date,
    keep: &mut (dyn FnMut(&Told) -> Result<(), WorldError> + Send),
) -> Result<bool, WorldError> {
    let Some(sending) = &told.sending else { return Ok(false) };
    let late = sending.date != today;
    deliver(notifier, told, Doubt { looks: notifier.edits(), late }, keep).await?;
    told.sending = None;
    keep(told)?;
    Ok(true)
}

/// What is not known of messages on their way.
#[derive(Clone, Copy)]
struct Doubt {
    /// They may be shown, and can be looked for.
    looks: bool,
    /// They are of another day.
    late: bool,
}

async fn deliver(
    notifier: &dyn Notifier,
    told: &mut Told,
    doubt: Doubt,
    keep: &mut (dyn FnMut(&Told) -> Result<(), WorldError> + Send),
) -> Result<(), WorldError> {
    let Some(mut sending) = told.sending.clone() else { return Ok(()) };
    for number in 0..sending.steps.len() {
        let Some(step) = sending.steps.get(number).filter(|step| step.place.is_none()) else { continue };
        match one(notifier, told, step, doubt, sending.since).await {
            Ok(None) => {}
            Ok(Some(place)) => {
                told.take(step, &place);
                if let Some(step) = sending.steps.get_mut(number) {
                    step.place = Some(place);
                }
            }
            Err(error) => {
                sending.failed = Some(error.to_string());
                told.sending = Some(sending);
                // What is not written down is looked for by the next run.
                if let Err(unwritten) = keep(told) {
                    tracing::debug!(%unwritten, "what was sent is not written down");
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Sends one message, unless it is shown already; `None` when nothing is to be shown any more.
async fn one(
    notifier: &dyn Notifier,
    told: &Told,
    step: &Step,
    doubt: Doubt,
    since: Timestamp,
) -> Result<Option<String>, WorldError> {
    let thread = match &step.way {
        Way::Change(place) => return change(notifier, step, place, doubt).await,
        Way::Below(key) => place_of(told, key),
        Way::Show => None,
    };
    let thread = thread.filter(|place| !place.is_empty());
    match post(notifier, step, thread.as_deref(), doubt, since).await {
        // Somebody took away what it belongs below: it stands for itself, and holds up nothing that comes after it.
        Err(error) if error.class == ErrorClass::NotFound && thread.is_some() => post(notifier, step, None, doubt, since).await,
        posted => posted,
    }
}

/// Posts one message below `thread`, unless it is shown there already.
async fn post(
    notifier: &dyn Notifier,
    step: &Step,
    thread: Option<&str>,
    doubt: Doubt,
    since: Timestamp,
) -> Result<Option<String>, WorldError> {
    if doubt.looks
        && let Some(place) = notifier.find(&step.notice.key, thread, since).await?
    {
        return Ok(Some(place));
    }
    // An alert is told however late; a state is not, for a newer one says what is so now.
    if doubt.late && !matches!(step.effect, Effect::Alert(_) | Effect::Over(_)) {
        return Ok(None);
    }
    notifier.show(&step.notice, thread).await.map(Some)
}

async fn change(notifier: &dyn Notifier, step: &Step, place: &str, doubt: Doubt) -> Result<Option<String>, WorldError> {
    if doubt.late && matches!(step.effect, Effect::Day(_)) {
        return Ok(None);
    }
    match notifier.change(place, &step.notice).await {
        Ok(()) => Ok(Some(place.to_owned())),
        // Somebody took it away: the state of the day is shown anew, and of what is over nothing is left to change.
        Err(error) if error.class == ErrorClass::NotFound => match step.effect {
            Effect::Day(_) => notifier.show(&step.notice, None).await.map(Some),
            _ => Ok(Some(place.to_owned())),
        },
        Err(error) => Err(error),
    }
}

/// Where what has `key` is shown.
fn place_of(told: &Told, key: &str) -> Option<String> {
    let day = told.day.as_ref().filter(|day| day.key == key).map(|day| day.place.clone());
    day.or_else(|| told.alerts.get(key).map(|given| given.place.clone()))
}
