//! Lists against what counts them independently: the summary of the account, the organisation's own number, the people file, merged
//! pull requests.
//!
//! A source that contradicts itself is incomplete by its own collector; nothing explains that away but another run. Against the people
//! file each name must be explained, and until it is the population is incomplete.

use super::reconcile_pulls;
use crate::model::catalog::{Catalog, People};
use crate::model::receipt::Receipt;
use crate::model::reconcile::{Counter, Reconciled};
use crate::model::snapshot::{Completeness, Population, Resource, Snapshot, Unseen};

/// What the independent count of a collector's receipt counts.
const COUNTS: [(&str, &str, Counter); 2] =
    [("iam", "Aws::User", Counter::AccountSummary), ("github", "GitHub::Repo", Counter::Organisation)];
/// Entity types whose members are accounts of people.
pub const ACCOUNTS: [&str; 2] = ["Aws::User", MEMBER];
/// Accounts whose names mean the same in any case.
const MEMBER: &str = "GitHub::Member";

/// Compares every list of `snapshot` that something counts, and marks as incomplete what the people file does not explain.
#[must_use]
pub fn reconcile(catalog: &Catalog, snapshot: &mut Snapshot) -> Vec<Reconciled> {
    let mut all: Vec<Reconciled> = snapshot.receipts.iter().filter_map(|receipt| counted(snapshot, receipt)).collect();
    for population in &mut snapshot.populations {
        let accounts = ACCOUNTS.contains(&population.entity.as_str());
        let Some(people) = catalog.settings.people.get(&population.source).filter(|_| accounts) else { continue };
        let compared = compared(population, people);
        // Of a list that was not seen whole nothing is missing for certain, and it is incomplete already.
        if !compared.agrees && population.completeness.is_complete() {
            let detail = format!("the people file does not explain {}", compared.differ.join(", "));
            population.completeness = Completeness::Incomplete { cause: Unseen::Inconsistent, detail };
        }
        all.push(compared);
    }
    all.extend(reconcile_pulls::reconcile(catalog, snapshot));
    all.sort_by(|a, b| (&a.source, &a.scope, &a.entity, a.by).cmp(&(&b.source, &b.scope, &b.entity, b.by)));
    all
}

fn counted(snapshot: &Snapshot, receipt: &Receipt) -> Option<Reconciled> {
    let (_, entity, by) = COUNTS.iter().find(|(collector, ..)| *collector == receipt.collector)?;
    let ours = |one: &&Population| one.source == receipt.source && one.scope == receipt.scope && one.entity.as_str() == *entity;
    let population = snapshot.populations.iter().find(ours)?;
    let listed = population.resources.len() as u64;
    let counted = receipt.independent_count;
    let differs = counted.filter(|counted| *counted != listed).map(|counted| format!("{listed} listed against {counted} counted"));
    Some(Reconciled {
        source: receipt.source.clone(),
        scope: receipt.scope.clone(),
        entity: population.entity.clone(),
        by: *by,
        listed,
        counted,
        agrees: differs.is_none() && counted.is_some(),
        differ: differs.into_iter().collect(),
        explained: Vec::new(),
    })
}

fn compared(population: &Population, file: &People) -> Reconciled {
    let names: Vec<&str> = population.resources.iter().map(name).collect();
    let any_case = population.entity.as_str() == MEMBER;
    let same = |one: &str, other: &str| if any_case { one.eq_ignore_ascii_case(other) } else { one == other };
    let person = |name: &str| file.people.iter().any(|one| same(one, name));
    let known = |name: &&&str| person(name) || file.not_people.keys().any(|one| same(one, name));
    let strangers = names.iter().filter(|name| !known(name)).map(|name| format!("`{name}`, who is not in it"));
    let listed = |name: &str| names.iter().any(|one| same(one, name));
    let gone = file.people.iter().filter(|name| !listed(name)).map(|name| format!("`{name}`, who is not listed"));
    let differ: Vec<String> = strangers.chain(gone).collect();
    let explained = file.not_people.iter().filter(|(name, _)| listed(name));
    Reconciled {
        source: population.source.clone(),
        scope: population.scope.clone(),
        entity: population.entity.clone(),
        by: Counter::PeopleFile,
        listed: names.len() as u64,
        counted: Some(file.people.len() as u64),
        agrees: differ.is_empty(),
        differ,
        explained: explained.map(|(name, why)| format!("`{name}`: {why}")).collect(),
    }
}

/// The name of an account as people write it: what follows the last `/` of its id.
fn name(resource: &Resource) -> &str {
    resource.id.as_str().rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::evaluate::tests::world;
    use crate::model::time::Timestamp;

    fn users(names: &[&str]) -> Population {
        let user = |name: &&str| Resource::new(format!("arn:aws:iam::1:user/team/{name}").as_str().into(), Vec::new());
        Population {
            source: "prod".into(),
            scope: "1/global".to_owned(),
            entity: "Aws::User".into(),
            completeness: Completeness::Complete,
            resources: Arc::new(names.iter().map(user).collect()),
        }
    }

    fn receipt(count: Option<u64>) -> Receipt {
        Receipt {
            source: "prod".into(),
            collector: "iam".to_owned(),
            scope: "1/global".to_owned(),
            caller: None,
            completeness: Completeness::Complete,
            operations: Vec::new(),
            independent_count: count,
            source_clock: None,
            started: Timestamp::UNIX_EPOCH,
            ended: Timestamp::UNIX_EPOCH,
            effective: None,
            raw: Vec::new(),
        }
    }

    /// What came of comparing, and whether the list is still complete.
    fn seen(names: &[&str], count: Option<u64>, people: Option<People>) -> (Vec<Reconciled>, bool) {
        let mut catalog = world().catalog;
        catalog.settings.people = people.map(|people| ("prod".into(), people)).into_iter().collect();
        let mut snapshot =
            Snapshot { taken: Timestamp::UNIX_EPOCH, populations: vec![users(names)], receipts: vec![receipt(count)] };
        let all = reconcile(&catalog, &mut snapshot);
        (all, snapshot.populations[0].completeness.is_complete())
    }

    fn file(people: &[&str], not_people: &[(&str, &str)]) -> Option<People> {
        let people = people.iter().map(|&name| name.to_owned()).collect();
        let not_people = not_people.iter().map(|&(name, why)| (name.to_owned(), why.to_owned())).collect();
        Some(People { people, not_people })
    }

    #[test]
    fn a_list_is_compared_with_the_count_of_its_source() {
        let told = |count| {
            let (all, _) = seen(&["ada", "bo"], count, None);
            (all[0].by, all[0].listed, all[0].counted, all[0].agrees, all[0].differ.clone())
        };
        let summary = Counter::AccountSummary;
        assert_eq!(told(Some(2)), (summary, 2, Some(2), true, vec![]));
        assert_eq!(told(Some(3)), (summary, 2, Some(3), false, vec!["2 listed against 3 counted".to_owned()]));
        assert_eq!(told(None), (summary, 2, None, false, vec![]), "what was not told does not agree");
    }

    #[test]
    fn users_that_the_people_file_does_not_explain_make_their_population_incomplete() {
        let (all, complete) = seen(&["ada", "bo", "ci"], Some(3), file(&["ada", "cy"], &[("ci", "deploys, SEC-9")]));
        let people = &all[1];
        assert_eq!((people.by, people.listed, people.counted, people.agrees), (Counter::PeopleFile, 3, Some(2), false));
        assert_eq!(people.differ, ["`bo`, who is not in it", "`cy`, who is not listed"]);
        assert_eq!(people.explained, ["`ci`: deploys, SEC-9"]);
        assert!(!complete);
        let (all, complete) = seen(&["ada", "bo", "ci"], Some(3), file(&["ada", "bo"], &[("ci", "deploys, SEC-9")]));
        assert!(all[1].agrees && complete, "{:?}", all[1]);
    }

    #[test]
    fn members_of_an_organisation_are_compared_in_any_case_and_users_of_an_account_as_they_are_written() {
        let compared = |entity: &str| {
            let mut population = users(&["Ada", "ci-bot"]);
            population.entity = entity.into();
            compared(&population, &file(&["ada"], &[("CI-bot", "merges, SEC-9")]).unwrap())
        };
        let members = compared("GitHub::Member");
        assert_eq!((members.agrees, members.explained), (true, vec!["`CI-bot`: merges, SEC-9".to_owned()]));
        let strangers = ["`Ada`, who is not in it", "`ci-bot`, who is not in it", "`ada`, who is not listed"];
        assert_eq!(compared("Aws::User").differ, strangers);
    }

    #[test]
    fn without_a_people_file_nobody_is_compared_with_it() {
        let (all, complete) = seen(&["ada"], Some(1), None);
        assert_eq!((all.len(), complete), (1, true));
    }
}
