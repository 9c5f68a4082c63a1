//! Consumers that restart the same workload, of one credential or of several.

use crate::model::id::VersionId;
use crate::world::Member;

/// Those of one workload, one kind all of them.
pub struct Several<T>(pub Vec<(Member, T)>);

impl<T> Several<T> {
    /// Those that are `members`, each with its version.
    pub(super) fn among<'a>(&'a self, members: &'a [(Member, VersionId)]) -> impl Iterator<Item = (&'a T, &'a VersionId)> {
        let of = |member: &Member| self.0.iter().find(|(have, _)| have == member).map(|(_, one)| one);
        members.iter().filter_map(move |(member, version)| Some((of(member)?, version)))
    }
}
