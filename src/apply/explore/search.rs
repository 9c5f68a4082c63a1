//! Breadth-first search over everything that can happen: which run goes next, what is lost, who crashes, when time passes, when a
//! consumer restarts, when a person rolls back. The runs are the real engine over an in-memory world.

use std::collections::{HashMap, VecDeque};

use super::node::{Node, Run};
use super::rig::Rig;
use super::state::{Setup, State, number};

/// What is searched, and how far.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub setup: Setup,
    /// Runs at once.
    pub rotators: usize,
    /// Crashes and lost messages.
    pub faults: u8,
    /// Faults may also be reads to which nothing is answered, or what was so before the last change.
    pub behind: bool,
    /// Rotations one after the other.
    pub wanted: u8,
    /// Times a canary refuses, or a person rolls back.
    pub whims: u8,
    /// A person may roll back.
    pub rollback: bool,
    /// A person may switch off the login before, when nobody uses it any more.
    pub by_hand: bool,
    /// The person in a sweep of faults waits with that until the value before is disabled.
    pub late_whim: bool,
    /// The old value is in wrong hands.
    pub leak: bool,
    /// One run alone is told, and not again once that was written down; others are ordinary.
    pub resumed: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub states: usize,
    pub transitions: usize,
    pub goals: usize,
    /// States in which a value is to come back whose login holds another by now.
    pub taken: usize,
    /// The first violation, with the shortest way to it.
    pub violation: Option<(String, Vec<String>)>,
    /// States from which the goal cannot be reached without further faults, and in which every attempt is used up, so that a person is
    /// asked as it should be.
    pub asking: usize,
    /// Any other state from which the goal cannot be reached without further faults, the way to one, and how it stands there.
    pub stuck: usize,
    pub stuck_way: Vec<String>,
    pub stuck_at: Option<State>,
}

/// Searches `scenario` to the end, or to its first violation.
pub fn search(scenario: &Scenario) -> Found {
    let rig = Rig::new(scenario);
    let state = std::mem::take(&mut rig.world.lock().state);
    let first = Node { state, before: None, runs: (0..scenario.rotators).map(|_| Run::Off).collect(), faults: scenario.faults };
    let mut seen: HashMap<u128, u32> = HashMap::from([(first.key(&scenario.setup), 0)]);
    let mut from: Vec<(u32, u16)> = vec![(0, 0)];
    let mut back: Vec<(u32, u32)> = Vec::new();
    let (mut goals, mut asking) = (Vec::new(), Vec::new());
    let mut queue = VecDeque::from([(0_u32, first.copy())]);
    let mut found = Found::default();
    while let Some((at, node)) = queue.pop_front() {
        if let Some(what) = node.state.violation(&scenario.setup, scenario.leak) {
            found.violation = Some((what, way(&rig, &first, &from, at).0));
            break;
        }
        if node.state.is_goal(&scenario.setup, scenario.wanted) && node.runs.iter().all(|run| matches!(run, Run::Off)) {
            goals.push(at);
        }
        // States leave the queue in the order of their numbers.
        asking.push(node.state.is_asking(&scenario.setup));
        found.taken += usize::from(node.state.is_taken(&scenario.setup));
        for (index, (next, _, fault)) in rig.next(&node).into_iter().enumerate() {
            found.transitions += 1;
            let id = *seen.entry(next.key(&scenario.setup)).or_insert_with(|| {
                let id = u32::try_from(from.len()).unwrap();
                from.push((at, u16::try_from(index).unwrap()));
                queue.push_back((id, next));
                id
            });
            if !fault {
                back.push((id, at));
            }
        }
    }
    (found.states, found.goals) = (from.len(), goals.len());
    if found.violation.is_none() {
        let (asked, stuck): (Vec<u32>, Vec<u32>) =
            unfinished(from.len(), back, &goals).into_iter().partition(|at| asking[*at as usize]);
        (found.asking, found.stuck) = (asked.len(), stuck.len());
        if let Some(at) = stuck.first() {
            let (names, state) = way(&rig, &first, &from, *at);
            (found.stuck_way, found.stuck_at) = (names, Some(state));
        }
    }
    found
}

/// States from which no goal can be reached along `back`.
fn unfinished(states: usize, mut back: Vec<(u32, u32)>, goals: &[u32]) -> Vec<u32> {
    back.sort_unstable();
    let mut good = vec![false; states];
    let mut open = goals.to_vec();
    goals.iter().for_each(|goal| good[*goal as usize] = true);
    while let Some(at) = open.pop() {
        let begin = back.partition_point(|(to, _)| *to < at);
        for (_, before) in back[begin..].iter().take_while(|(to, _)| *to == at) {
            if !std::mem::replace(&mut good[*before as usize], true) {
                open.push(*before);
            }
        }
    }
    (0..u32::try_from(states).unwrap()).filter(|at| !good[*at as usize]).collect()
}

/// The names of the steps that lead from `first` to state `at`, and how it stands there.
fn way(rig: &Rig, first: &Node, from: &[(u32, u16)], mut at: u32) -> (Vec<String>, State) {
    let mut indexes = Vec::new();
    while at != 0 {
        let (before, index) = from[at as usize];
        indexes.push(index);
        at = before;
    }
    let (mut node, mut names) = (first.copy(), Vec::new());
    for index in indexes.into_iter().rev() {
        let (next, name, _) = rig.next(&node).swap_remove(usize::from(index));
        names.push(name);
        node = next;
    }
    let keys: Vec<String> =
        node.state.keys.iter().map(|(id, key)| format!("{id}{}", if key.active { "" } else { " off" })).collect();
    let current = node.state.current.as_ref().and_then(|id| number(node.state.values.get(id)?));
    let consumers: Vec<_> =
        node.state.consumers.iter().map(|[stored, running]| (number(&stored.value), number(&running.value))).collect();
    let registers: Vec<_> = node.state.registers.iter().map(|(name, text)| format!("{}={text}", &name.as_str()[..7])).collect();
    names.extend(rig.then(&node));
    names.push(format!("end: current {:?} keys {keys:?} consumers {consumers:?} {registers:?}", current));
    (names, node.state)
}
