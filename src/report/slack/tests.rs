//! What a channel is told in every state, and that nothing hostile in it is more than text.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::message::tests::fits;
use super::*;
use crate::model::assessment::Status;
use crate::model::notify::{AlertOn, AlertSettings, Credentials, NotifyWay, SlackWay, Zone};
use crate::model::receipt::Receipt;
use crate::model::standing::Phase;
use crate::report::alerts::firing;
use crate::report::drift::tests::{World, at, world};

pub(crate) fn settings() -> NotifySettings {
    NotifySettings {
        environment: "prod".to_owned(),
        link: Some("https://git.example.com/evidence/blob/{commit}/{path}".to_owned()),
        confidential: vec!["acme/board/".to_owned()],
        quiet: Vec::new(),
        zone: Zone::utc(),
        report: true,
        mention: [("platform".to_owned(), "S0123ABCD".to_owned()), ("security".to_owned(), "U0123ABCD".to_owned())].into(),
        base_url: None,
        way: NotifyWay::Slack(SlackWay::Bot { channel: "C0123456789".to_owned(), token: Credentials::Env("T".to_owned()) }),
    }
}

fn alerts() -> Vec<AlertSettings> {
    let on = |on| AlertSettings { below: 95, ..AlertSettings::new(on, vec!["ops".to_owned()]) };
    [AlertOn::RotationFailed, AlertOn::HalfDone, AlertOn::Overdue, AlertOn::Silent].map(on).into()
}

/// The steps for `world` when `told` was told before.
pub(super) fn told_of(world: &World, settings: &NotifySettings, told: &Told, edits: bool) -> Vec<Step> {
    let drift = world.drift();
    let alerts = firing(&drift, &alerts(), "ops");
    steps(&Say { drift: &drift, settings, told, alerts, edits, asked: false })
}

/// `told` once all of `steps` are shown, each at a place of its own.
pub(super) fn shown(mut told: Told, steps: &[Step]) -> Told {
    for (number, step) in steps.iter().enumerate() {
        let place = match &step.way {
            Way::Change(place) => place.clone(),
            _ => format!("17.{number}"),
        };
        told.take(step, &place);
    }
    told.run.get_or_insert("r1".into());
    told
}

/// Where each step goes, and its header.
pub(super) fn heads(steps: &[Step]) -> Vec<String> {
    let way = |way: &Way| match way {
        Way::Show => "show",
        Way::Below(_) => "below",
        Way::Change(_) => "change",
    };
    let head = |step: &Step| step.notice.body["blocks"][0]["text"]["text"].as_str().unwrap_or_default().to_owned();
    steps.iter().map(|step| format!("{} {}", way(&step.way), head(step))).collect()
}

/// Every text of a message, a line each.
pub(super) fn read(body: &Json) -> String {
    let text = |block: &Json| {
        let text = if block["type"] == "context" { &block["elements"][0]["text"] } else { &block["text"]["text"] };
        format!("[{}] {}", block["type"].as_str().unwrap(), text.as_str().unwrap())
    };
    let blocks: Vec<String> = body["blocks"].as_array().unwrap().iter().map(text).collect();
    format!("({})\n{}", body["text"].as_str().unwrap(), blocks.join("\n"))
}

pub(super) fn bad() -> World {
    world().is("ROT-01", "app/db", Status::NonCompliant)
}

#[test]
fn the_first_run_shows_the_state_its_details_and_its_alerts_and_no_change() {
    let steps = told_of(&bad(), &settings(), &Told::default(), true);
    assert_eq!(heads(&steps), ["show prod 2026-11-24: ACT", "below prod: what else is open or ahead", "show prod: overdue"]);
    let told = shown(Told::default(), &steps);
    assert_eq!(
        heads(&told_of(&bad().was("ROT-01", "app/db", Status::NonCompliant), &settings(), &told, true)),
        Vec::<String>::new()
    );
}

#[test]
fn when_all_is_clean_a_line_says_so_once_a_day() {
    let clean = world();
    let steps = told_of(&clean, &settings(), &Told::default(), true);
    assert_eq!(heads(&steps)[0], "show prod 2026-11-24: OK");
    let told = shown(Told::default(), &steps);
    assert!(told_of(&clean, &settings(), &told, true).is_empty());
    let mut next = world();
    next.now = at("2026-11-25T00:30:00Z");
    assert_eq!(heads(&told_of(&next, &settings(), &told, true))[0], "show prod 2026-11-25: OK");
}

#[test]
fn a_change_is_an_edit_and_a_reply_and_what_is_over_is_closed() {
    let told = shown(Told::default(), &told_of(&world(), &settings(), &Told::default(), true));
    let came = told_of(&bad(), &settings(), &told, true);
    assert_eq!(heads(&came), ["change prod 2026-11-24: ACT", "below prod: +1 new, -0 resolved, =0 open", "show prod: overdue"]);
    let told = shown(told, &came);
    assert_eq!((told.alerts.len(), told.day.as_ref().map(|day| (day.came, day.went))), (1, Some((1, 0))));
    let went = world().was("ROT-01", "app/db", Status::NonCompliant).is("ROT-01", "app/db", Status::Compliant);
    let steps = told_of(&went, &settings(), &told, true);
    let closing = ["change prod: over: overdue", "below Over after 0s"];
    assert_eq!(heads(&steps), [&["change prod 2026-11-24: OK", "below prod: +0 new, -1 resolved, =0 open"][..], &closing].concat());
    assert_eq!(shown(told, &steps).alerts.len(), 0);
}

#[test]
fn what_is_not_seen_closes_no_alert() {
    let told = shown(Told::default(), &told_of(&bad(), &settings(), &Told::default(), true));
    let blind = world().was("ROT-01", "app/db", Status::NonCompliant).is("ROT-01", "app/db", Status::NoEvidence).blind("denied");
    let steps = told_of(&blind, &settings(), &told, true);
    assert!(!heads(&steps).iter().any(|head| head.contains("over: ") || head.contains("Over after")), "{:?}", heads(&steps));
    assert!(read(&steps[0].notice.body).contains("NOT SEEN: source local"));
}

#[test]
fn what_was_not_seen_is_counted_where_it_is_not_named() {
    let mut blind = world().blind("denied");
    let one = blind.snapshot.receipts[0].clone();
    blind.snapshot.receipts = (0..13).map(|number| Receipt { scope: format!("r{number:02}"), ..one.clone() }).collect();
    blind.receipts_before = Vec::new();
    let text = read(&told_of(&blind, &settings(), &Told::default(), true)[0].notice.body);
    assert_eq!(text.matches("`: `denied` · next `slm status`").count(), 10, "{text}");
    assert!(text.contains("\nand 3 more that were not seen: `slm report drift` has all"), "{text}");
}

#[test]
fn quiet_hours_hold_what_can_wait_and_tell_it_afterwards() {
    let quiet = NotifySettings { quiet: vec!["Mon-Sun 05:00-07:00 UTC".parse().unwrap()], ..settings() };
    let low = |now: &str| {
        let mut low = world().is("ROT-02", "app/key", Status::NonCompliant);
        low.now = at(now);
        low
    };
    assert_eq!(heads(&told_of(&low("2026-11-24T06:00:00Z"), &quiet, &Told::default(), true)), Vec::<String>::new());
    assert_eq!(heads(&told_of(&bad(), &quiet, &Told::default(), true)), ["show prod: overdue"], "what is urgent does not wait");
    let told = shown(Told::default(), &told_of(&world(), &settings(), &Told::default(), true));
    assert_eq!(
        heads(&told_of(&low("2026-11-24T06:00:00Z"), &quiet, &told, true)),
        ["change prod 2026-11-24: open"],
        "an edit wakes nobody"
    );
    let after = told_of(&low("2026-11-24T07:00:00Z"), &quiet, &told, true);
    assert_eq!(heads(&after), ["change prod 2026-11-24: open", "below prod: +1 new, -0 resolved, =0 open"]);
}

#[test]
fn a_webhook_gets_one_state_a_day_and_new_messages_on_change() {
    let told = shown(Told::default(), &told_of(&world(), &settings(), &Told::default(), false));
    let came = told_of(&bad(), &settings(), &told, false);
    assert_eq!(heads(&came), ["show prod: +1 new, -0 resolved, =0 open", "show prod: overdue"]);
    let told = shown(told, &came);
    let went = world().was("ROT-01", "app/db", Status::NonCompliant).is("ROT-01", "app/db", Status::Compliant);
    assert_eq!(
        heads(&told_of(&went, &settings(), &told, false)),
        ["show prod: +0 new, -1 resolved, =0 open", "show prod: over: overdue"]
    );
}

#[test]
fn only_failed_rotations_and_critical_findings_mention_anybody() {
    let world =
        bad().is("ROT-02", "app/key", Status::NonCompliant).stands("key", Phase::Prepared).failed("db", "denied").blind("denied");
    let steps = told_of(&world, &settings(), &Told::default(), true);
    let mentioned: Vec<String> = heads(&steps)
        .into_iter()
        .zip(&steps)
        .filter(|(_, step)| step.notice.body.to_string().contains("<!subteam") || step.notice.body.to_string().contains("<@U"))
        .map(|(head, _)| head)
        .collect();
    let mut mentioned = mentioned;
    mentioned.sort();
    assert_eq!(mentioned, ["show prod: a rotation failed", "show prod: overdue"]);
}

#[test]
fn messages_read_like_this() {
    let world = bad()
        .was("ROT-02", "app/db", Status::NonCompliant)
        .is("ROT-02", "app/db", Status::Compliant)
        .is("ROT-02", "acme/board/ceo", Status::NonCompliant)
        .stands("key", Phase::Prepared)
        .failed("key", "the target refused it");
    let told = Told { run: Some("r1".into()), ..Told::default() };
    let steps = told_of(&world, &settings(), &told, true);
    let all: Vec<String> = steps.iter().map(|step| read(&step.notice.body)).collect();
    insta::assert_snapshot!("messages", all.join("\n\n"));
}

#[test]
fn what_is_clean_not_seen_or_over_reads_like_this() {
    let mut world = self::world();
    world.catalog.credentials.insert("stray".into(), {
        let mut declared = world.catalog.credentials["db"].clone();
        declared.id = "stray".into();
        declared.secret.name = "stray".to_owned();
        declared
    });
    let first = told_of(&world, &settings(), &Told::default(), true);
    let told = shown(Told::default(), &told_of(&bad(), &settings(), &Told::default(), true));
    world.decisions.push(crate::report::drift::tests::decision("ROT-01", "app/db", Status::Compliant));
    let over = told_of(&world.was("ROT-01", "app/db", Status::NonCompliant), &settings(), &told, true);
    let lost = self::world()
        .was("ROT-01", "app/db", Status::NonCompliant)
        .is("ROT-01", "app/db", Status::NoEvidence)
        .blind("list: denied");
    let lost = told_of(&lost, &settings(), &told, true);
    let hook = told_of(&self::world(), &settings(), &told, false);
    let all: Vec<String> = [first, over, lost, hook].iter().flatten().map(|step| read(&step.notice.body)).collect();
    insta::assert_snapshot!("states", all.join("\n\n"));
}

#[test]
fn the_same_world_gives_the_same_bytes() {
    let of = || told_of(&bad(), &settings(), &Told::default(), true);
    let first = of();
    assert!((0..10).all(|_| of() == first));
}

/// Texts as whoever names a resource may choose them.
fn hostile() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "<!channel>",
        "<!here|x>",
        "<@U99999999>",
        "<https://evil.example|click>",
        "*bold* _it_ ~no~",
        "`code`",
        "```",
        "&amp;",
        "\u{202e}x",
        "acme/board/ceo",
        "a\nb",
        "@channel",
        "https://me:canary-1@host/",
        "ghp_canary000",
    ]);
    prop::collection::vec(prop_oneof![known.prop_map(str::to_owned), "\\PC{0,60}"], 1..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_observed_messages_are_within_limits_and_mention_nobody(
        names in prop::collection::vec(hostile(), 1..60),
        why in hostile(),
        owner in hostile(),
    ) {
        let mut world = world().failed("db", &why).blind(&why);
        world.catalog.controls.get_mut("ROT-01").unwrap().owner = owner;
        world.broken = vec![why.clone()];
        for name in &names {
            world = world.is("ROT-01", name, Status::NonCompliant).was("ROT-02", name, Status::NonCompliant);
        }
        let told = Told { run: Some("r1".into()), ..Told::default() };
        for edits in [true, false] {
            for step in told_of(&world, &settings(), &told, edits) {
                let body = &step.notice.body;
                prop_assert_eq!(fits(body), Ok(()));
                let text = read(body);
                // What is ours to mention and to link is in the settings, and nothing else opens a bracket.
                let own = ["<!subteam^S0123ABCD>", "<@U0123ABCD>"].iter().fold(text.clone(), |text, own| text.replace(own, ""));
                for open in own.split('<').skip(1) {
                    prop_assert!(open.starts_with("https://git.example.com/evidence/blob/abab"), "{}", text);
                }
                for secret in ["canary-1", "ghp_canary", "ceo"] {
                    prop_assert!(!text.contains(secret), "{}", text);
                }
            }
        }
    }
}
