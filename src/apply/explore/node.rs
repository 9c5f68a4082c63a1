//! A state of the search: everything that lasts, what each run of slm knows at that point, and the faults that are left.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::super::engine::Phase;
use super::state::{Setup, State, TICK};
use crate::model::id::{ConsumerId, VersionId};
use crate::model::secret::Secret;
use crate::world::Fresh;

/// One run of slm.
pub enum Run {
    Off,
    On {
        generation: Option<VersionId>,
        rotate: bool,
        /// It was told that the value before is in wrong hands.
        leak: bool,
        started: i64,
        phase: Phase,
        refused: BTreeMap<ConsumerId, (VersionId, String)>,
        declined: Option<(VersionId, String)>,
    },
}

pub struct Node {
    pub state: State,
    /// What was so before the last change, when that may be answered.
    pub before: Option<Arc<State>>,
    pub runs: Vec<Run>,
    pub faults: u8,
}

impl Run {
    fn copy(&self) -> Self {
        match self {
            Self::Off => Self::Off,
            Self::On { generation, rotate, leak, started, phase, refused, declined } => {
                let phase = copy(phase);
                Self::On {
                    generation: generation.clone(),
                    rotate: *rotate,
                    leak: *leak,
                    started: *started,
                    phase,
                    refused: refused.clone(),
                    declined: declined.clone(),
                }
            }
        }
    }
}

fn copy(phase: &Phase) -> Phase {
    match phase {
        Phase::Idle => Phase::Idle,
        Phase::Listed(listing) => Phase::Listed(listing.clone()),
        Phase::Decided(mutation, basis) => Phase::Decided(mutation.clone(), basis.clone()),
        Phase::Ready(mutation, basis) => Phase::Ready(mutation.clone(), basis.clone()),
        Phase::Holding(slot, fresh) => {
            let value = Secret::new(fresh.value.expose().to_vec());
            Phase::Holding(slot.clone(), Fresh { key: fresh.key.clone(), value })
        }
        Phase::Dropping(key) => Phase::Dropping(key.clone()),
    }
}

/// 128 bits in one pass: two states of a search of millions collide with a chance of one in 10^25.
struct Wide(u64, u64);

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0 ^ word, 0x9e37_79b9_7f4a_7c15);
        self.1 = mix(self.1 ^ word.rotate_left(32), 0xd6e8_feb8_6659_fd93);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Wide {
    fn whole(&self) -> u128 {
        u128::from(self.0) << 64 | u128::from(self.1)
    }
}

/// What `thing` is known by.
pub fn wide(thing: &impl Hash) -> u128 {
    let mut hasher = Wide(1, 2);
    thing.hash(&mut hasher);
    hasher.whole()
}

fn mix(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product as u64) ^ ((product >> 64) as u64)
}

impl Node {
    pub fn copy(&self) -> Self {
        let runs = self.runs.iter().map(Run::copy).collect();
        Self { state: self.state.clone(), before: self.before.clone(), runs, faults: self.faults }
    }

    /// Equal for nodes from which the same can happen; runs are alike, so that it does not matter which of them is where.
    pub fn key(&self, setup: &Setup) -> u128 {
        let mut hasher = Wide(1, 2);
        self.faults.hash(&mut hasher);
        self.state.digest(setup, self.state.clock, &mut hasher);
        if let Some(before) = self.before.as_ref().filter(|_| self.faults > 0) {
            before.digest(setup, self.state.clock, &mut hasher);
        }
        let mut runs: Vec<u128> = self.runs.iter().map(|run| self.digest(setup, run)).collect();
        runs.sort_unstable();
        runs.hash(&mut hasher);
        hasher.whole()
    }

    fn digest(&self, setup: &Setup, run: &Run) -> u128 {
        let Run::On { generation, rotate, leak, started, phase, refused, declined } = run else { return 0 };
        let mut wide = Wide(1, 2);
        let hasher = &mut wide;
        let spent = (self.state.clock - started).min(1);
        (1_u8, generation, rotate, leak, spent, refused, declined).hash(hasher);
        match phase {
            Phase::Idle => 0_u8.hash(hasher),
            Phase::Listed(listing) => {
                1_u8.hash(hasher);
                for key in &listing.keys {
                    let age = key.created.map_or(0, |created| (listing.now.as_second() - created.as_second()).min(TICK));
                    (&key.id, key.active, &key.version, age).hash(hasher);
                }
            }
            Phase::Decided(mutation, basis) | Phase::Ready(mutation, basis) => {
                let step = 2 + u8::from(matches!(phase, Phase::Ready(..)));
                (step, mutation, &basis.generation, &basis.parent, setup.since(self.state.clock, basis.now, 1)).hash(hasher);
            }
            Phase::Holding(slot, fresh) => (4_u8, slot, &fresh.key).hash(hasher),
            Phase::Dropping(key) => (5_u8, key).hash(hasher),
        }
        wide.whole()
    }
}
