//! The loop of one application: its secrets, which are those that it is told of in the same way, are looked at together, so that
//! several new values are one reload.
//!
//! An application that is not well with several of them is given none of them, and then each by itself, for only so is it known which
//! one it was.

use std::time::Duration;

use futures::future::try_join_all;
use rand_core::{OsRng, RngCore};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::act::Application;
use super::config::{BURST, Reload};
use super::serve::Word;
use super::watched::{Look, Trial, Watched};
use crate::world::WorldError;

/// The longest wait for a source that is down, unless `poll` is longer.
const LONGEST: Duration = Duration::from_mins(5);
/// Words that may wait for a loop, for each of its secrets.
const WORDS: usize = 16;

/// Tells the loop of an application something of one of its secrets.
#[derive(Clone)]
pub(super) struct Mouth {
    words: mpsc::Sender<(usize, Word)>,
    number: usize,
}

impl Mouth {
    /// False when nobody listens any more.
    pub(super) async fn say(&self, word: Word) -> bool {
        self.words.send((self.number, word)).await.is_ok()
    }

    /// A loop that has much to hear already is going to look anyway.
    pub(super) fn hint(&self, word: Word) {
        let _ = self.words.try_send((self.number, word));
    }
}

/// One secret in the loop of its application.
struct Member {
    one: Watched,
    /// Looks in a row that failed.
    failures: u32,
    /// When it is looked at again.
    due: Instant,
    /// What was said of it last.
    said: Option<String>,
}

/// The secrets of one application, and how often they are looked at.
pub(super) struct Together {
    members: Vec<Member>,
    poll: Duration,
}

/// What a loop listens to.
pub(super) type Ear = mpsc::Receiver<(usize, Word)>;

/// `watched` by application, each with what its loop listens to; and how each of `watched` is spoken of, in their order.
pub(super) fn together(watched: Vec<Watched>, poll: Duration) -> (Vec<(Together, Ear)>, Vec<Mouth>) {
    let (mut all, mut mouths) = (Vec::<(Together, Ear, mpsc::Sender<(usize, Word)>)>::new(), Vec::new());
    let room = WORDS * watched.len().max(1);
    for one in watched {
        let told = one.application.told().cloned();
        let known = all.iter().position(|(together, ..)| told.is_some() && together.told() == told.as_ref());
        let at = known.unwrap_or_else(|| {
            let (words, ear) = mpsc::channel(room);
            all.push((Together { members: Vec::new(), poll }, ear, words));
            all.len() - 1
        });
        let (together, _, words) = &mut all[at];
        mouths.push(Mouth { words: words.clone(), number: together.members.len() });
        together.members.push(Member { one, failures: 0, due: Instant::now(), said: None });
    }
    (all.into_iter().map(|(together, ear, _)| (together, ear)).collect(), mouths)
}

impl Together {
    fn told(&self) -> Option<&Reload> {
        self.members.first().and_then(|member| member.one.application.told())
    }

    /// Looks at those that are due, and has the application run what is in force of them; what is in the way, one for each.
    pub(super) async fn pass(&mut self) -> Vec<WorldError> {
        let now = Instant::now();
        let mut looks = Vec::new();
        for (number, member) in self.members.iter_mut().enumerate() {
            // One that fails is asked at its own pace; whoever else looks, looks at all others as well.
            if member.failures == 0 || member.due <= now {
                looks.push((number, member.one.look().await));
            }
        }
        self.at_once(&mut looks).await;
        let mut troubles = Vec::new();
        for (number, Look { down, next }) in looks {
            let one = &mut self.members[number].one;
            let done = match next {
                Ok(Some(trial)) => one.alone(trial).await,
                other => other.map(drop),
            };
            let done = one.conclude(down, done).await;
            self.members[number].note(done.as_ref().err(), self.poll);
            troubles.extend(done.err());
        }
        troubles
    }

    /// Has the application load all that is to be tried by one reload. What it was seen well with is not to be tried any more.
    async fn at_once(&mut self, looks: &mut [(usize, Look)]) {
        let tried = |look: &Look| matches!(look.next, Ok(Some(_)));
        if looks.iter().filter(|(_, look)| tried(look)).count() < 2 {
            return;
        }
        let trials: Vec<(usize, &Trial)> =
            looks.iter().filter_map(|(number, look)| Some((*number, look.next.as_ref().ok()?.as_ref()?))).collect();
        let rendered = trials.iter().try_for_each(|(number, trial)| self.members[*number].one.render(trial));
        let well = match rendered {
            Ok(()) => self.taken_into_use(trials.iter().map(|(number, _)| *number).collect()).await,
            Err(error) => Err(error.to_string()),
        };
        if let Err(cause) = &well {
            tracing::warn!("{cause}; each of {} new values is tried by itself", trials.len());
        }
        for (number, look) in looks.iter_mut().filter(|(_, look)| tried(look)) {
            let one = &mut self.members[*number].one;
            // What cannot be put back, or noted, is told by itself.
            look.next = match (&well, std::mem::replace(&mut look.next, Ok(None))) {
                (Ok(()), Ok(Some(trial))) => one.adopt(trial).map(|()| None),
                (Err(_), Ok(Some(trial))) => one.withdraw().map(|()| Some(trial)),
                (_, other) => other,
            };
        }
    }

    async fn taken_into_use(&self, numbers: Vec<usize>) -> Result<(), String> {
        let applications = || numbers.iter().map(|number| &self.members[*number].one.application);
        if let Some(application) = applications().next() {
            application.reload().await?;
        }
        try_join_all(applications().map(Application::healthy)).await.map(drop)
    }

    /// The loop: a pass, then a wait that a word ends early; after a change `settle` for others.
    pub(super) async fn keep(mut self, mut ear: Ear, settle: Duration, passed: mpsc::Sender<()>) {
        let mut asked: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            self.pass().await;
            // A place that does not wait for the answer any more needs none.
            for sender in asked.drain(..) {
                let _: Result<(), ()> = sender.send(());
            }
            if passed.send(()).await.is_err() {
                return;
            }
            let due = self.members.iter().map(|member| member.due).min().unwrap_or_else(Instant::now);
            let mut word = tokio::select! {
                word = ear.recv() => match word {
                    Some(word) => Some(word),
                    None => return,
                },
                () = sleep_until(due) => None,
            };
            let mut end = Instant::now() + settle;
            loop {
                if let Some((number, word)) = word {
                    if let Word::Take(..) = &word {
                        end = end.min(Instant::now() + BURST);
                    }
                    asked.extend(self.members[number].hear(word));
                }
                word = tokio::select! {
                    Some(word) = ear.recv() => Some(word),
                    () = sleep_until(end) => break,
                };
            }
        }
    }
}

impl Member {
    /// What is told of it is done at the next pass; gives who waits for that.
    fn hear(&mut self, word: Word) -> Option<oneshot::Sender<()>> {
        self.due = Instant::now();
        let (told, asked) = match word {
            Word::Look => (Ok(()), None),
            Word::Again => (self.one.again(None), None),
            Word::Take(version, sender) => (self.one.tell(version), Some(sender)),
        };
        if let Err(error) = told {
            tracing::warn!("{error}");
        }
        asked
    }

    /// Counts what came of a look, and says what changed since it was said last, and no more.
    fn note(&mut self, error: Option<&WorldError>, poll: Duration) {
        self.failures = if error.is_none() { 0 } else { self.failures.saturating_add(1) };
        self.due = Instant::now() + spread(wait(poll, self.failures));
        let now = error.map(ToString::to_string);
        match (&now, self.said.is_some()) {
            (Some(trouble), _) if now != self.said => tracing::warn!(secret = %self.one.secret.name, "{trouble}; its files stay"),
            (None, true) => tracing::info!(secret = %self.one.secret.name, "well again"),
            _ => {}
        }
        self.said = now;
    }
}

/// The wait after `failures` in a row: twice as long each time, and never shorter than `poll`.
fn wait(poll: Duration, failures: u32) -> Duration {
    let doubled = poll.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(LONGEST.max(poll))
}

/// `wait`, up to a tenth longer or shorter, so that many agents do not ask at once.
fn spread(wait: Duration) -> Duration {
    wait.mul_f64(0.9 + 0.2 * f64::from(OsRng.next_u32()) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_down_is_asked_ever_less_often() {
        let poll = Duration::from_secs(60);
        let waits: Vec<u64> = (0..6).map(|failures| wait(poll, failures).as_secs()).collect();
        assert_eq!(waits, [60, 60, 120, 240, 300, 300]);
        assert_eq!(wait(Duration::from_hours(1), 40), Duration::from_hours(1));
        assert!((0..100).all(|_| (54..=66).contains(&spread(poll).as_secs())));
    }
}
