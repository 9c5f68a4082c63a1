//! Drives actions of which some restart the same workload, or one restarts it for several consumers, so that it is restarted once for
//! all of them.
//!
//! Each drive goes its own way until its next effect would begin that restart, and waits there for the others: it was promoted by
//! then, and has delivered. A drive that waited forgets what it saw and gets a lease of its own, as a new run would. The restart is
//! then begun for all that ask for it still, with all of their consumers that were seen to wait for it, and awaited by each of them. Whoever failed or was stopped before is waited for by nobody.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use futures::future::join_all;

use super::engine::{Engine, StopFlag, stopped};
use super::job::Job;
use crate::model::catalog::Stage;
use crate::model::id::{ConsumerId, VersionId};
use crate::model::outcome::{Fate, Outcome};
use crate::world::{Clock, Member, Shared};

/// A workload that several consumers restart, of one job or of several.
pub struct Meeting<'a> {
    /// Number of the job, and the consumer.
    pub members: Vec<(usize, ConsumerId)>,
    /// The effect that restarts it.
    pub at: Stage,
    /// Restarts it for several of them.
    pub shared: &'a dyn Shared,
}

/// Drives `jobs` to their ends; `renew` gives the job of this number a lease that begins now.
pub async fn drive_all(
    jobs: &[Job<'_>],
    meetings: &[Meeting<'_>],
    renew: &(dyn Fn(usize) + Send + Sync),
    clock: &dyn Clock,
    stop: &StopFlag,
) -> Vec<Outcome> {
    let drives = jobs.iter().map(|job| Drive { engine: Engine::new(job, clock), fate: None, been: BTreeSet::new() }).collect();
    let mut all = All { jobs, meetings, renew, stop, drives };
    for number in 0..jobs.len() {
        (all.renew)(number);
        all.go(number).await;
    }
    while let Some(next) = all.next() {
        all.meet(next).await;
    }
    all.drives.into_iter().map(|drive| drive.engine.finish(drive.fate.unwrap_or_else(stopped))).collect()
}

struct Drive<'a> {
    engine: Engine<'a>,
    /// How it ended.
    fate: Option<Fate>,
    /// Meetings it was let go on from.
    been: BTreeSet<usize>,
}

struct All<'a, 'j> {
    jobs: &'a [Job<'j>],
    meetings: &'a [Meeting<'a>],
    renew: &'a (dyn Fn(usize) + Send + Sync),
    stop: &'a StopFlag,
    drives: Vec<Drive<'a>>,
}

impl All<'_, '_> {
    /// The meeting that the next effect of this drive belongs to, if it is about to have one.
    fn waits(&self, number: usize) -> Option<usize> {
        let drive = &self.drives[number];
        let (stage, consumer, _) = drive.engine.intends().filter(|_| drive.fate.is_none())?;
        let is_it =
            |meeting: &Meeting<'_>| meeting.at == stage && meeting.members.iter().any(|(job, id)| (*job, id) == (number, consumer));
        self.meetings.iter().position(is_it)
    }

    /// Lets a drive go on until it ends or waits.
    async fn go(&mut self, number: usize) {
        while self.drives[number].fate.is_none() && self.waits(number).is_none() {
            let drive = &mut self.drives[number];
            drive.fate = drive.engine.advance(self.stop).await;
        }
    }

    /// Those that wait at a meeting.
    fn waiting(&self, meeting: usize) -> Vec<usize> {
        (0..self.drives.len()).filter(|number| self.waits(*number) == Some(meeting)).collect()
    }

    /// The meeting to go on from: the one that fewest are still to come to, and most wait at. None when all have ended, or are to.
    fn next(&self) -> Option<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let expected = |meeting: usize| {
            let jobs: BTreeSet<usize> = self.meetings[meeting].members.iter().map(|(job, _)| *job).collect();
            let comes = |job: &usize| {
                let drive = &self.drives[*job];
                drive.fate.is_none() && !drive.been.contains(&meeting) && self.waits(*job) != Some(meeting)
            };
            jobs.into_iter().filter(comes).count()
        };
        let open = (0..self.meetings.len()).filter(|meeting| !self.waiting(*meeting).is_empty());
        open.min_by_key(|meeting| (expected(*meeting), Reverse(self.waiting(*meeting).len())))
    }

    /// Has those that wait at `meeting` look again, and takes those that wait there still over the restart together.
    async fn meet(&mut self, meeting: usize) {
        let came = self.waiting(meeting);
        for number in came.iter().copied() {
            self.drives[number].been.insert(meeting);
            self.drives[number].engine.forget();
            (self.renew)(number);
            self.go(number).await;
        }
        // Each looks once more that its generation is in force, and the effect follows at once.
        for number in self.waiting(meeting) {
            let drive = &mut self.drives[number];
            drive.fate = drive.engine.step().await;
        }
        let ready = |number: &usize| self.drives[*number].engine.is_ready() && (self.jobs[*number].fence)();
        let ready: Vec<usize> = came.iter().copied().filter(ready).collect();
        let members: Vec<(Member, VersionId)> = ready.iter().flat_map(|number| self.members(meeting, *number)).collect();
        if members.len() > 1
            && let Err(error) = self.meetings[meeting].shared.begin(&members).await
        {
            for number in ready {
                let drive = &mut self.drives[number];
                drive.fate = drive.engine.missed(&error);
            }
        }
        join_all(self.drives.iter_mut().enumerate().filter(|(number, _)| came.contains(number)).map(|(_, drive)| async {
            if drive.fate.is_none() && drive.engine.is_ready() {
                drive.fate = drive.engine.step().await;
            }
        }))
        .await;
        for number in came {
            self.go(number).await;
        }
    }

    /// The consumers of a drive that wait for the restart, each with its version.
    fn members(&self, meeting: usize, number: usize) -> impl Iterator<Item = (Member, VersionId)> {
        let is_member =
            move |id: &ConsumerId| self.meetings[meeting].members.iter().any(|(job, member)| (*job, member) == (number, id));
        let waiting = self.drives[number].engine.beside().filter(move |(consumer, _)| is_member(consumer));
        waiting.map(move |(consumer, version)| ((self.jobs[number].credential.id.clone(), consumer.clone()), version.clone()))
    }
}
