//! Every decision of a run in rows of sixteen bytes: what decisions share is kept once, and a decision is made when it is looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::assessment::{Because, Decision, Status, Subject};
use super::id::{ControlId, EntityType};
use super::snapshot::Resource;
use super::time::Timestamp;

/// Decisions, sorted by (control, subject).
#[derive(Clone, Default)]
pub struct Decisions {
    /// Resources that may have been judged, by population.
    groups: Vec<Group>,
    reasons: Vec<(Status, Because)>,
    known: BTreeMap<(Status, Because), usize>,
    blocks: Vec<Block>,
}

/// The members of one population, numbered from `first`.
#[derive(Clone)]
struct Group {
    first: usize,
    entity: EntityType,
    members: Arc<Vec<Resource>>,
}

/// The decisions of one control.
#[derive(Clone)]
struct Block {
    control: ControlId,
    /// Names of the values a decision rests on, sorted.
    observes: Vec<Arc<str>>,
    rows: Vec<Row>,
    /// What is not about a member; after the rows.
    others: Vec<Decision>,
}

#[derive(Clone, Copy)]
struct Row {
    member: u32,
    reason: u32,
    /// Milliseconds since 1970.
    flips_at: i64,
}

/// In place of an instant: it never flips.
const NEVER: i64 = i64::MAX;

impl Decisions {
    /// Takes in `resources`, so that they can be judged; the number of the first.
    pub fn members(&mut self, entity: &EntityType, resources: &Arc<Vec<Resource>>) -> usize {
        let first = self.groups.last().map_or(0, |last| last.first + last.members.len());
        self.groups.push(Group { first, entity: entity.clone(), members: resources.clone() });
        first
    }

    /// Begins the decisions of `control`, which rest on the values named in `observes`, with room for `rows`. Controls come in order.
    pub fn begin(&mut self, control: &ControlId, observes: Vec<Arc<str>>, rows: usize) {
        self.blocks.push(Block { control: control.clone(), observes, rows: Vec::with_capacity(rows), others: Vec::new() });
    }

    /// Judges a member for the control begun last. An instant is kept in whole milliseconds.
    pub fn judge(&mut self, member: usize, status: Status, because: Because, flips_at: Option<Timestamp>) {
        let reason = (status, because);
        let at = self.known.get(&reason).copied().unwrap_or_else(|| {
            self.reasons.push(reason.clone());
            self.known.insert(reason, self.reasons.len() - 1);
            self.reasons.len() - 1
        });
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let flips_at = flips_at.map_or(NEVER, Timestamp::as_millisecond);
        if let Some(block) = self.blocks.last_mut() {
            block.rows.push(Row { member: number(member), reason: number(at), flips_at });
        }
    }

    /// Adds a decision that is not about a member to the control begun last.
    pub fn add(&mut self, decision: Decision) {
        if let Some(block) = self.blocks.last_mut() {
            block.others.push(decision);
        }
    }

    /// Ends the control begun last: its decisions are sorted by subject.
    pub fn end(&mut self) {
        let groups = &self.groups;
        if let Some(block) = self.blocks.last_mut() {
            let subject = |row: &Row| {
                let (entity, member) = member(groups, row.member as usize);
                (entity, &member.id)
            };
            if !block.rows.is_sorted_by_key(subject) {
                block.rows.sort_by(|a, b| subject(a).cmp(&subject(b)));
            }
            block.others.sort_by(|a, b| a.subject.cmp(&b.subject));
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.iter().map(|block| block.rows.len() + block.others.len()).sum()
    }

    /// True without any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every decision, made as it is reached.
    pub fn iter(&self) -> impl Iterator<Item = Decision> {
        self.select(|_, _, _| true)
    }

    /// Every control that was judged, also one without a decision.
    pub fn controls(&self) -> impl Iterator<Item = &ControlId> {
        self.blocks.iter().map(|block| &block.control)
    }

    /// Control, status and reason of every decision: what counting wants, and nothing is made for it.
    pub fn reasons(&self) -> impl Iterator<Item = (&ControlId, Status, &Because)> {
        self.blocks.iter().flat_map(|block| self.reasons_in(block).map(|(status, because)| (&block.control, status, because)))
    }

    /// Status and reason of every decision of `control`.
    pub fn reasons_of(&self, control: &ControlId) -> impl Iterator<Item = (Status, &Because)> {
        let block = self.blocks.binary_search_by(|block| block.control.cmp(control)).ok();
        block.into_iter().flat_map(|at| self.reasons_in(&self.blocks[at]))
    }

    fn reasons_in<'a>(&'a self, block: &'a Block) -> impl Iterator<Item = (Status, &'a Because)> {
        let rows = block.rows.iter().map(|row| &self.reasons[row.reason as usize]);
        let rows = rows.map(|(status, because)| (*status, because));
        rows.chain(block.others.iter().map(|other| (other.status, &other.because)))
    }

    /// The decisions whose control, status and reason are `wanted`.
    pub fn select(&self, wanted: impl Fn(&ControlId, Status, &Because) -> bool) -> impl Iterator<Item = Decision> {
        let wanted = Arc::new(wanted);
        self.blocks.iter().flat_map(move |block| {
            let (is_row, is_other) = (wanted.clone(), wanted.clone());
            let rows = block.rows.iter().filter(move |row| {
                let (status, because) = &self.reasons[row.reason as usize];
                is_row(&block.control, *status, because)
            });
            let others = block.others.iter().filter(move |other| is_other(&block.control, other.status, &other.because));
            rows.map(|row| self.decision(block, *row)).chain(others.cloned())
        })
    }

    fn decision(&self, block: &Block, row: Row) -> Decision {
        let (entity, member) = member(&self.groups, row.member as usize);
        let (status, because) = &self.reasons[row.reason as usize];
        let observed = block.observes.iter().filter_map(|name| Some((name.clone(), member.get(name)?.owned()))).collect();
        Decision {
            control: block.control.clone(),
            subject: Subject::Resource { entity: entity.clone(), id: member.id.clone() },
            status: *status,
            because: because.clone(),
            observed,
            flips_at: Timestamp::from_millisecond(row.flips_at).ok(),
        }
    }
}

/// INVARIANT: a member is taken in with its group, so that a group begins at or before it.
fn member(groups: &[Group], at: usize) -> (&EntityType, &Resource) {
    let group = &groups[groups.partition_point(|group| group.first <= at) - 1];
    (&group.entity, &group.members[at - group.first])
}

impl From<Vec<Decision>> for Decisions {
    fn from(mut all: Vec<Decision>) -> Self {
        all.sort_by(|a, b| (&a.control, &a.subject).cmp(&(&b.control, &b.subject)));
        let mut decisions = Self::default();
        for decision in all {
            if decisions.blocks.last().is_none_or(|block| block.control != decision.control) {
                decisions.begin(&decision.control, Vec::new(), 0);
            }
            decisions.add(decision);
        }
        decisions
    }
}

impl PartialEq for Decisions {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Decisions {}

impl std::fmt::Debug for Decisions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Decisions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Decisions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|all: Vec<Decision>| Self::from(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::Value;

    #[test]
    fn what_was_judged_is_read_again_in_order() {
        let secret = |id: &str| Resource::new(id.into(), vec![("a".into(), Value::Long(1)), ("b".into(), Value::Bool(true))]);
        let mut decisions = Decisions::default();
        let one = decisions.members(&"A".into(), &vec![secret("y"), secret("z")].into());
        let two = decisions.members(&"A".into(), &vec![secret("x")].into());
        decisions.begin(&"C-1".into(), vec!["b".into(), "c".into()], 3);
        let flips = Timestamp::from_second(5).unwrap();
        decisions.judge(one + 1, Status::NonCompliant, Because::NothingPermits, None);
        decisions.judge(two, Status::Compliant, Because::Permitted(vec!["r".into()]), Some(flips));
        decisions.judge(one, Status::NonCompliant, Because::NothingPermits, None);
        decisions.end();

        let all: Vec<Decision> = decisions.iter().collect();
        let ids: Vec<_> = all.iter().map(|it| (id(it), it.status, it.flips_at)).collect();
        assert_eq!(
            ids,
            [
                ("x".to_owned(), Status::Compliant, Some(flips)),
                ("y".to_owned(), Status::NonCompliant, None),
                ("z".to_owned(), Status::NonCompliant, None)
            ]
        );
        assert_eq!(all[0].observed, [("b".into(), Value::Bool(true))]);
        assert_eq!(decisions.select(|_, status, _| status == Status::NonCompliant).count(), 2);
        assert_eq!((decisions.len(), decisions.reasons().count(), decisions.reasons.len()), (3, 3, 2));
        let json = serde_json::to_string(&decisions).unwrap();
        assert_eq!(json, serde_json::to_string(&all).unwrap());
        assert_eq!(serde_json::from_str::<Decisions>(&json).unwrap(), decisions);
    }

    fn id(decision: &Decision) -> String {
        match &decision.subject {
            Subject::Resource { id, .. } => id.to_string(),
            Subject::Population { scope, .. } => scope.clone(),
        }
    }
}
