//! Judgements over built worlds.

use super::*;
use crate::evaluate::join::join;
use crate::model::approval::Approval;
use crate::model::attestation::{About, Attestation, Signed, Stretch};
use crate::model::catalog::*;
use crate::model::diagnostic::Place;
use crate::model::exception::{Finding, Hollow};
use crate::model::made::{self, ago, now};
use crate::model::snapshot::{Fact, Value};
use crate::model::time::Limit;

const RULES: &str = r#"
@id("young") permit (principal, action == Control::Action::"ROT-01", resource is Vault::Secret) when {
  resource.created <= context.now && context.now.durationSince(resource.created) <= duration("90d")
};
@id("public") forbid (principal, action == Control::Action::"ROT-01", resource is Vault::Secret) when {
  resource has public && resource.public
};
"#;

pub(super) struct World {
    pub(super) catalog: Catalog,
    snapshot: Snapshot,
}

/// One control, its rule, and a complete vault with nothing in it.
pub(super) fn world() -> World {
    let tiers = [("standard".to_owned(), Limit::days(90)), ("gold".to_owned(), Limit::days(30))].into();
    let settings = Settings { tiers, ..made::settings() };
    let control = Control {
        applies_where: vec![("managed".into(), Value::Bool(true))],
        requires: vec!["created".into()],
        criteria: [].into(),
        ..made::control("ROT-01")
    };
    let file = |text: &str| PolicyFile { path: String::new(), text: Arc::from(text) };
    let catalog = Catalog {
        settings,
        controls: [("ROT-01".into(), control)].into(),
        frameworks: [].into(),
        credentials: [].into(),
        exceptions: [].into(),
        attestations: [].into(),
        policies: vec![file(RULES)],
        schema: file("namespace Slm { entity Runner; }"),
    };
    let vault = Population {
        source: "local".into(),
        scope: ".".to_owned(),
        entity: "Vault::Secret".into(),
        completeness: Completeness::Complete,
        resources: Arc::default(),
    };
    World { catalog, snapshot: Snapshot { taken: now(), populations: vec![vault], receipts: Vec::new() } }
}

impl World {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn control(self, change: impl FnOnce(&mut Control)) -> Self {
        self.with(|world| change(world.catalog.controls.get_mut("ROT-01").unwrap()))
    }

    fn rules(self, text: &str) -> Self {
        self.with(|world| world.catalog.policies[0].text = Arc::from(text))
    }

    fn bare(self, id: &str, facts: &[(&str, Value)]) -> Self {
        let facts = facts.iter().map(|(name, value)| (Arc::from(*name), value.clone())).collect();
        self.with(|world| Arc::make_mut(&mut world.snapshot.populations[0].resources).push(Resource::new(id.into(), facts)))
    }

    /// A managed secret `days` old.
    fn secret(self, id: &str, days: i64) -> Self {
        self.bare(id, &[("managed", Value::Bool(true)), ("created", Value::Time(ago(days)))])
    }

    fn public(self) -> Self {
        self.with(|world| {
            Arc::make_mut(&mut world.snapshot.populations[0].resources).last_mut().unwrap().set("public", Value::Bool(true))
        })
    }

    fn cut_off(self) -> Self {
        let completeness = Completeness::Incomplete { cause: Unseen::Throttled, detail: "could not list page 3".to_owned() };
        self.with(|world| world.snapshot.populations[0].completeness = completeness)
    }

    fn excepted(self, id: &str, from: i64, until: i64) -> Self {
        let when = (ago(from), ago(until));
        let exception = Exception { resource: id.into(), approved: when.0, expires: when.1, ..made::exception("old-key") };
        self.with(|world| _ = world.catalog.exceptions.insert("old-key".into(), exception))
    }

    fn judge_at(&self, at: Timestamp) -> Assessment {
        evaluate(&self.catalog, &Rules::compile(&self.catalog).unwrap(), &self.snapshot, at)
    }

    fn judge(&self) -> Assessment {
        self.judge_at(now())
    }

    /// The only decision.
    fn one(&self) -> Decision {
        let decisions: Vec<Decision> = self.judge().decisions.iter().collect();
        assert_eq!(decisions.len(), 1, "{decisions:?}");
        decisions[0].clone()
    }
}

fn first(assessment: &Assessment) -> Decision {
    assessment.decisions.iter().next().unwrap()
}

fn verdict(world: &World) -> (Status, Because) {
    let one = world.one();
    (one.status, one.because)
}

#[test]
fn a_rule_that_permits_makes_it_compliant_and_is_named() {
    assert_eq!(verdict(&world().secret("a", 10)), (Status::Compliant, Because::Permitted(vec!["young".into()])));
}

#[test]
fn what_no_rule_permits_is_non_compliant() {
    assert_eq!(verdict(&world().secret("a", 91)), (Status::NonCompliant, Because::NothingPermits));
    assert_eq!(verdict(&world().secret("a", -1)), (Status::NonCompliant, Because::NothingPermits), "a future instant");
}

#[test]
fn an_exception_in_force_makes_it_excepted() {
    let because = Because::Exception("old-key".into());
    assert_eq!(verdict(&world().secret("a", 91).excepted("a", 5, -5)), (Status::Excepted, because));
}

#[test]
fn an_exception_counts_from_its_approval_until_just_before_it_lapses() {
    for (from, until, status) in [(0, -1, Status::Excepted), (5, 0, Status::NonCompliant), (-1, -5, Status::NonCompliant)] {
        assert_eq!(world().secret("a", 91).excepted("a", from, until).one().status, status, "{from} {until}");
    }
}

#[test]
fn an_exception_is_for_one_resource() {
    let assessment = world().secret("a", 91).secret("b", 91).excepted("b", 5, -5).judge();
    let statuses: Vec<Status> = assessment.decisions.iter().map(|decision| decision.status).collect();
    assert_eq!(statuses, [Status::NonCompliant, Status::Excepted]);
    assert_eq!((assessment.tally(None)[&Status::Excepted], assessment.unused_exceptions), (1, vec![]));
}

#[test]
fn no_exception_lifts_what_is_forbidden() {
    let world = world().secret("a", 91).public().excepted("a", 5, -5);
    assert_eq!(verdict(&world), (Status::NonCompliant, Because::Forbidden(vec!["public".into()])));
    assert_eq!(world.judge().unused_exceptions, ["old-key".into()]);
}

#[test]
fn what_is_forbidden_is_so_even_where_a_rule_permits() {
    let forbidden = Because::Forbidden(vec!["public".into()]);
    assert_eq!(verdict(&world().secret("a", 1).public()), (Status::NonCompliant, forbidden));
}

#[test]
fn an_exception_that_decides_nothing_is_unused() {
    for world in [world().secret("a", 1).excepted("a", 5, -5), world().secret("a", 91).excepted("gone", 5, -5)] {
        assert_eq!(world.judge().unused_exceptions, ["old-key".into()]);
    }
}

/// What is wrong with the exception of `world`, how many decisions it lifts, and the population of its control.
fn stands(world: &World) -> (Option<Finding>, u64, usize) {
    let assessment = world.judge();
    let all = exceptions::exceptions(&world.catalog, &world.snapshot, &assessment);
    (all.standings[0].finding, all.standings[0].lifts, assessment.decisions.len())
}

#[test]
fn an_exception_lifts_what_stays_in_the_population() {
    let world = world().secret("a", 91).secret("b", 1).secret("c", 1).excepted("a", 5, -5);
    assert_eq!(stands(&world), (None, 1, 3));
    let tally = world.judge().tally(None);
    assert_eq!((tally[&Status::Excepted], tally[&Status::Compliant]), (1, 2));
}

#[test]
fn a_lapsed_exception_that_something_still_leans_on_is_told_from_one_that_nothing_needs() {
    assert_eq!(stands(&world().secret("a", 91).excepted("a", 50, 2)), (Some(Finding::ExpiredInUse), 0, 1));
    assert_eq!(stands(&world().secret("a", 1).excepted("a", 50, 2)), (Some(Finding::Expired), 0, 1));
    assert_eq!(stands(&world().secret("a", 91).excepted("a", -1, -5)), (Some(Finding::Ahead), 0, 1));
    assert_eq!(stands(&world().secret("a", 1).excepted("a", 5, -5)), (Some(Finding::Unused), 0, 1));
}

#[test]
fn exceptions_that_lift_most_of_a_control_make_it_hollow() {
    let hollow = |world: World| exceptions::exceptions(&world.catalog, &world.snapshot, &world.judge()).hollow;
    assert_eq!(hollow(world().secret("a", 91).excepted("a", 5, -5)), [], "of one member, all or nothing");
    let half = || world().secret("a", 91).secret("b", 1).excepted("a", 5, -5);
    assert_eq!(hollow(half()), []);
    let two = half().secret("c", 91).with(|world| {
        let mut other = world.catalog.exceptions["old-key"].clone();
        (other.id, other.resource) = ("other".into(), "c".into());
        world.catalog.exceptions.insert("other".into(), other);
    });
    assert_eq!(hollow(two), [Hollow { control: "ROT-01".into(), excepted: 2, population: 3 }]);
}

#[test]
fn what_the_branch_says_of_who_approved_an_exception_counts() {
    let on_branch = |approver: &str| {
        world().secret("a", 91).excepted("a", 5, -5).with(|world| {
            let words = [("requester", "One"), ("approver", approver)];
            let facts = words.map(|(name, value)| (Arc::from(name), Value::Text(value.into()))).into();
            let mut seen = world.snapshot.populations[0].clone();
            (seen.entity, seen.resources) =
                ("Slm::Exception".into(), vec![Resource::new("exception:old-key".into(), facts)].into());
            world.snapshot.populations.push(seen);
        })
    };
    assert_eq!(stands(&on_branch("one")).0, Some(Finding::SelfApproved));
    assert_eq!(stands(&on_branch("two")).0, None);
}

#[test]
fn an_exception_that_was_brought_in_without_anybody_approving_it_is_a_finding_whatever_its_file_says() {
    let brought_in = |approved_by: Option<&'static str>| {
        let world = world().secret("a", 91).excepted("a", 5, -5).with(|world| {
            let file = &world.catalog.exceptions["old-key"].place.file;
            let declared = format!("declared:{file}");
            let mut pull = vec![("merged_by", "#7")];
            pull.extend(approved_by.map(|who| ("approved_by", who)));
            let commit = vec![("commit", "c0ffee")];
            for (entity, id, facts) in
                [("Slm::Declared", declared.as_str(), commit), ("GitHub::Commit", "github:acme/policy/commits/c0ffee", pull)]
            {
                let facts = facts.into_iter().map(|(name, text)| (Arc::from(name), Value::Text(text.into()))).collect();
                let mut seen = world.snapshot.populations[0].clone();
                (seen.entity, seen.resources) = (entity.into(), vec![Resource::new(id.into(), facts)].into());
                world.snapshot.populations.push(seen);
            }
        });
        let one = exceptions::exceptions(&world.catalog, &world.snapshot, &world.judge()).standings.remove(0);
        (one.finding, one.approval)
    };
    assert_eq!(brought_in(Some("")), (Some(Finding::Unapproved), Approval::Nobody));
    assert_eq!(brought_in(Some("grace")), (None, Approval::By("grace".to_owned())));
    assert_eq!(brought_in(None), (None, Approval::NotSeen));
}

#[test]
fn what_a_person_attests_is_manual_until_another_signed_it_and_for_as_long_as_that_stands() {
    let signed = |covers: &str, approver_on_branch: Option<&str>| {
        let world = world().control(|control| control.kind = ControlKind::Attestation).with(|world| {
            let covers = Stretch::parse(covers).unwrap();
            let path = "attestations/ROT-01/it.toml".to_owned();
            let one = Attestation {
                about: About::Control("ROT-01".into()),
                covers,
                statement: String::new(),
                author: "one".to_owned(),
                approver: "two".to_owned(),
                signed: ago(9),
                population_root: None,
                evidence: Vec::new(),
                place: Place { file: path.clone(), span: 0..0 },
            };
            world.catalog.attestations.insert(path.clone(), one);
            if let Some(approver) = approver_on_branch {
                let mut seen = world.snapshot.populations[0].clone();
                let facts = vec![("approver".into(), Value::Text(approver.into()))];
                (seen.entity, seen.resources) =
                    ("Slm::Document".into(), vec![Resource::new(format!("document:{path}").as_str().into(), facts)].into());
                world.snapshot.populations.push(seen);
            }
        });
        attestations::manual(&world.catalog, &world.snapshot, now()).remove(0).state
    };
    let stretch = |text: &str| Stretch::parse(text).unwrap();
    let good = |approval| Signed::For { covers: stretch("2026-Q3"), approver: "two".to_owned(), approval, at: ago(9) };
    assert_eq!(signed("2026-Q3", None), good(Approval::NotSeen), "what nobody could look at is not seen");
    assert_eq!(signed("2026-Q3", Some("two")), good(Approval::By("two".to_owned())));
    assert_eq!(signed("2026-Q3", Some("")), Signed::Unapproved { covers: stretch("2026-Q3") });
    assert_eq!(signed("2026-Q1", None), Signed::Lapsed { covers: stretch("2026-Q1") });
    let bare = world().control(|control| control.kind = ControlKind::Attestation);
    assert_eq!(attestations::manual(&bare.catalog, &bare.snapshot, now())[0].state, Signed::Never);
    assert_eq!(attestations::manual(&world().catalog, &bare.snapshot, now()), [], "what is observed needs no signature");
}

#[test]
fn where_without_the_attribute_is_no_evidence_and_with_another_value_not_applicable() {
    let created = ("created", Value::Time(ago(1)));
    let absent = world().bare("a", std::slice::from_ref(&created));
    assert_eq!(verdict(&absent), (Status::NoEvidence, Because::Missing(vec!["managed".into()])));
    let other = world().bare("a", &[created, ("managed", Value::Bool(false))]);
    assert_eq!(verdict(&other), (Status::NotApplicable, Because::OutOfScope));
    assert_eq!(other.judge().gaps, []);
}

#[test]
fn a_required_attribute_that_was_not_seen_is_no_evidence_whatever_the_rule_says() {
    let missing = world().bare("a", &[("managed", Value::Bool(true))]).public();
    assert_eq!(verdict(&missing), (Status::NoEvidence, Because::Missing(vec!["created".into()])));
    assert_eq!(missing.judge().gaps[0].reason, "`created` was not observed");
}

#[test]
fn evidence_is_stale_after_its_time_and_not_at_it() {
    let world = world().secret("a", 1);
    let at = |seconds: i64| world.judge_at(Limit::seconds(86_400 + seconds).after(now()));
    assert_eq!(first(&at(0)).status, Status::Compliant);
    let stale = first(&at(1));
    assert_eq!((stale.status, stale.because), (Status::NoEvidence, Because::Stale));
    assert_eq!(at(1).gaps[0].reason, "the evidence is older than the control allows");
}

#[test]
fn a_rule_that_fails_is_no_evidence_even_where_another_permits() {
    let broken = r#"
        @id("ok") permit (principal, action == Control::Action::"ROT-01", resource);
        @id("bad") forbid (principal, action == Control::Action::"ROT-01", resource) when { resource.gone };"#;
    let world = world().secret("a", 1).rules(broken);
    assert!(matches!(verdict(&world), (Status::NoEvidence, Because::EvaluationError(error)) if error.starts_with("bad: ")));
    assert_eq!(world.judge().gaps.len(), 1);
}

#[test]
fn a_control_without_a_rule_is_never_compliant() {
    assert_eq!(verdict(&world().secret("a", 1).rules("")), (Status::NonCompliant, Because::NothingPermits));
}

#[test]
fn a_population_cut_off_is_no_evidence_and_what_was_seen_of_it_is_judged() {
    let assessment = world().secret("a", 91).secret("b", 1).cut_off().judge();
    let statuses: Vec<Status> = assessment.decisions.iter().map(|decision| decision.status).collect();
    assert_eq!(statuses, [Status::NonCompliant, Status::Compliant, Status::NoEvidence]);
    assert!(matches!(assessment.decisions.iter().last().unwrap().subject, Subject::Population { .. }));
    assert_eq!(assessment.gaps[0].reason, "could not list page 3");
}

#[test]
fn a_population_seen_to_its_end_and_empty_has_neither_decision_nor_gap() {
    let assessment = world().judge();
    assert_eq!((assessment.decisions.len(), assessment.gaps.len()), (0, 0));
}

#[test]
fn a_population_nobody_observes_says_so() {
    let nobody = world().with(|world| world.snapshot.populations.clear());
    assert_eq!(nobody.judge().gaps[0].reason, "no source holds `Vault::Secret`");
    assert!(matches!(nobody.one().because, Because::Unseen { cause: Unseen::NotCollected, .. }));
    let needs = nobody.control(|control| control.needs = Some("a collector of vaults".to_owned()));
    assert_eq!(needs.judge().gaps[0].reason, "needs a collector of vaults");
}

#[test]
fn many_gaps_of_a_control_are_counted_and_the_first_is_told() {
    let world = world().bare("a", &[]).bare("b", &[]);
    assert_eq!(world.judge().gaps[0].reason, "2 subjects; first: `managed` was not observed");
}

#[test]
fn a_decision_shows_what_it_and_its_rules_look_at_sorted_and_no_more() {
    let facts = [
        ("managed", Value::Bool(true)),
        ("created", Value::Time(ago(1))),
        ("tier", Value::Long(1)),
        ("public", Value::Bool(false)),
    ];
    let observed = world().bare("a", &facts).one().observed;
    let names: Vec<&str> = observed.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["created", "managed", "public"]);
}

#[test]
fn a_decision_flips_at_the_first_millisecond_over_its_limit() {
    let world = world().secret("a", 80).control(|control| control.evidence_ttl = Limit::days(365));
    let flips = world.one().flips_at.unwrap();
    assert_eq!(flips, Limit::days(90).after(ago(80)) + jiff::SignedDuration::from_millis(1));
    let before = flips - jiff::SignedDuration::from_millis(1);
    assert_eq!(first(&world.judge_at(before)).status, Status::Compliant);
    assert_eq!(first(&world.judge_at(flips)).status, Status::NonCompliant);
}

#[test]
fn an_excepted_decision_flips_when_the_exception_lapses() {
    assert_eq!(world().secret("a", 91).excepted("a", 5, -7).one().flips_at, Some(ago(-7)));
}

#[test]
fn what_time_does_not_change_never_flips() {
    assert_eq!(world().secret("a", 91).one().flips_at, None);
    assert_eq!(world().secret("a", 1).public().one().flips_at, None);
    assert_eq!(world().bare("a", &[]).one().flips_at, None);
}

#[test]
fn decisions_are_sorted_and_the_same_each_time() {
    let world = world().secret("c", 91).secret("a", 1).secret("b", 91).cut_off();
    let first = world.judge();
    assert!(first.decisions.iter().is_sorted_by_key(|decision| decision.subject));
    assert!((0..10).all(|_| world.judge() == first));
}

#[test]
fn the_tier_of_a_secret_decides_its_limit_and_an_unknown_tier_gives_none() {
    for (tier, days) in [(None, Some(90)), (Some(""), Some(90)), (Some("gold"), Some(30)), (Some("lead"), None)] {
        let tier: Vec<(&str, Value)> = tier.map(|tier| ("tier", Value::Text(tier.into()))).into_iter().collect();
        let world = world().bare("a", &tier);
        let joined = join(&world.catalog, world.snapshot);
        let seen = &joined.populations[0].resources[0];
        assert_eq!(seen.get("max_age_days"), days.map(Fact::Long));
        assert!(!seen.is("declared"));
    }
}

#[test]
fn a_declared_secret_of_which_no_value_is_in_force_has_no_age() {
    let named = |more: &[(&str, Value)]| {
        let facts = [("name", Value::Text("app/a".into())), ("managed", Value::Bool(true)), ("created", Value::Time(ago(1)))];
        world().bare("a", &[&facts[..], more].concat())
    };
    let declared = |world: World| world.with(|world| drop(world.catalog.credentials.insert("a".into(), made::credential("a"))));
    let joined = |mut world: World| {
        world.snapshot = join(&world.catalog, world.snapshot);
        world.one().status
    };
    let version = [("version", Value::Text("v".into()))];
    assert_eq!(joined(declared(named(&[]))), Status::NoEvidence);
    assert_eq!(joined(declared(named(&version))), Status::Compliant);
    assert_eq!(joined(named(&[])), Status::Compliant, "what is not declared is judged by what its store says");
}
