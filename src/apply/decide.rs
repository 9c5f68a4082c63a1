//! What to do next, from what was just seen: a pure, total function. First rule that matches wins.

use crate::model::id::{ConsumerId, VersionId};
use crate::world::{Capabilities, ConsumerView, Issuer};

/// Everything the decision rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What the rotator's kind can do.
    pub capabilities: Capabilities,
    /// The version in force.
    pub generation: Option<VersionId>,
    /// True when this generation is to be left.
    pub due: bool,
    /// Slots of this generation in order of attempt; as many as attempts are allowed.
    pub slots: Vec<Slot>,
    /// Consumers in order of delivery.
    pub consumers: Vec<(ConsumerId, Sight)>,
    /// True while we may still have effects.
    pub leased: bool,
}

/// One write-once slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its name in the store.
    pub id: VersionId,
    /// What is in it.
    pub content: Content,
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The store does not list it.
    Absent,
    /// Listed, but without a value.
    Empty,
    /// A new value.
    Value,
}

/// How a consumer was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It reported.
    Seen(ConsumerView),
    /// It did not, for this reason; it counts as not adopted.
    Unseen(String),
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Do this one thing, then observe again.
    Act(Mutation),
    /// Time or another run brings the next step.
    Wait(String),
    /// A person must act.
    Blocked(String),
    /// Nothing is left to do.
    Done,
}

/// One change to the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Make a value and keep it in `slot`.
    CreateAndPut {
        /// Which.
        slot: VersionId,
    },
    /// Put the value of `to` in force.
    Promote {
        /// In force until now.
        from: Option<VersionId>,
        /// In force from now.
        to: VersionId,
    },
    /// Store the value of `version` at a consumer.
    Deliver {
        /// Which.
        consumer: ConsumerId,
        /// What.
        version: VersionId,
    },
    /// Have a consumer take `version` into use.
    Activate {
        /// Which.
        consumer: ConsumerId,
        /// What.
        version: VersionId,
    },
}

/// The next step. Nothing acts once the lease is spent.
#[must_use]
pub fn decide(observation: &Observation) -> Step {
    let step = deliver(observation)
        .or_else(|| activate(observation))
        .or_else(|| unseen(observation))
        .unwrap_or_else(|| rotate(observation));
    match step {
        Step::Act(_) if !observation.leased => Step::Wait("the lease is spent".to_owned()),
        step => step,
    }
}

/// A consumer stores another version than the one in force.
fn deliver(observation: &Observation) -> Option<Step> {
    let version = observation.generation.as_ref()?;
    seen(observation)
        .find(|(_, view)| view.stored.as_ref() != Some(version))
        .map(|(consumer, _)| Step::Act(Mutation::Deliver { consumer: consumer.clone(), version: version.clone() }))
}

/// A consumer runs another version than the one in force.
fn activate(observation: &Observation) -> Option<Step> {
    let version = observation.generation.as_ref()?;
    seen(observation)
        .find(|(_, view)| view.running.as_ref() != Some(version))
        .map(|(consumer, _)| Step::Act(Mutation::Activate { consumer: consumer.clone(), version: version.clone() }))
}

/// A consumer that cannot be seen holds everything that follows.
fn unseen(observation: &Observation) -> Option<Step> {
    observation.consumers.iter().find_map(|(consumer, sight)| match sight {
        Sight::Unseen(reason) => Some(Step::Blocked(format!("consumer `{consumer}` was not seen: {reason}"))),
        Sight::Seen(_) => None,
    })
}

/// Every consumer runs the version in force: leave it when that is due.
fn rotate(observation: &Observation) -> Step {
    if !observation.due {
        return Step::Done;
    }
    if observation.capabilities.issuer == Issuer::Server || observation.capabilities.verifiable {
        return Step::Blocked("this version rotates only values that we choose and nobody else validates".to_owned());
    }
    // Client-chosen and unverifiable: nothing can reject a slot, so the first one decides.
    match observation.slots.first() {
        None => Step::Blocked("no attempt is allowed".to_owned()),
        Some(Slot { id, content: Content::Value }) => {
            Step::Act(Mutation::Promote { from: observation.generation.clone(), to: id.clone() })
        }
        Some(Slot { id, content: Content::Absent | Content::Empty }) => Step::Act(Mutation::CreateAndPut { slot: id.clone() }),
    }
}

fn seen(observation: &Observation) -> impl Iterator<Item = (&ConsumerId, &ConsumerView)> {
    observation.consumers.iter().filter_map(|(consumer, sight)| match sight {
        Sight::Seen(view) => Some((consumer, view)),
        Sight::Unseen(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version() -> impl Strategy<Value = Option<VersionId>> {
        proptest::option::of((0..4_u8).prop_map(|n| VersionId::from(format!("v{n}"))))
    }

    fn sight() -> impl Strategy<Value = Sight> {
        prop_oneof![
            4 => (version(), version()).prop_map(|(stored, running)| Sight::Seen(ConsumerView { stored, running })),
            1 => Just(Sight::Unseen("denied".to_owned())),
        ]
    }

    fn observation() -> impl Strategy<Value = Observation> {
        let capabilities = (any::<bool>(), any::<bool>()).prop_map(|(server, verifiable)| Capabilities {
            issuer: if server { Issuer::Server } else { Issuer::Client },
            max_active: 1,
            verifiable,
        });
        let content = prop_oneof![Just(Content::Absent), Just(Content::Empty), Just(Content::Value)];
        let slots = proptest::collection::vec(content, 0..4).prop_map(|contents| {
            contents.into_iter().enumerate().map(|(n, content)| Slot { id: format!("s{n}").into(), content }).collect()
        });
        let consumers = proptest::collection::vec(sight(), 0..4).prop_map(|sights| {
            sights.into_iter().enumerate().map(|(n, sight)| (ConsumerId::from(format!("c{n}")), sight)).collect::<Vec<_>>()
        });
        (capabilities, version(), any::<bool>(), slots, consumers, any::<bool>()).prop_map(
            |(capabilities, generation, due, slots, consumers, leased)| Observation {
                capabilities,
                generation,
                due,
                slots,
                consumers,
                leased,
            },
        )
    }

    fn adopted(observation: &Observation) -> bool {
        observation.consumers.iter().all(|(_, sight)| match sight {
            Sight::Seen(view) => {
                observation.generation.is_none()
                    || (view.stored == observation.generation && view.running == observation.generation)
            }
            Sight::Unseen(_) => false,
        })
    }

    proptest! {
        #[test]
        fn every_step_is_allowed_by_what_was_seen(seen in observation()) {
            let step = decide(&seen);
            prop_assert_eq!(&step, &decide(&seen));
            match &step {
                Step::Act(_) if !seen.leased => prop_assert!(false, "acted without a lease"),
                Step::Act(Mutation::Promote { from, to }) => {
                    prop_assert!(seen.due && adopted(&seen) && *from == seen.generation);
                    prop_assert!(seen.slots.iter().any(|slot| slot.id == *to && slot.content == Content::Value));
                }
                Step::Act(Mutation::CreateAndPut { slot }) => {
                    prop_assert!(seen.due && adopted(&seen));
                    prop_assert!(seen.slots.iter().all(|have| have.content != Content::Value || have.id != *slot));
                }
                Step::Act(Mutation::Deliver { consumer, version } | Mutation::Activate { consumer, version }) => {
                    prop_assert_eq!(Some(version), seen.generation.as_ref());
                    prop_assert!(seen.consumers.iter().any(|(id, sight)| id == consumer && matches!(sight, Sight::Seen(_))));
                }
                Step::Done => prop_assert!(!seen.due && adopted(&seen)),
                Step::Wait(_) => prop_assert!(!seen.leased),
                Step::Blocked(_) => {}
            }
        }
    }
}
