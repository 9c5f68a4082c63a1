//! Exceptions, and every way to make one wrong.

use super::tests::world;

const PATH: &str = "exceptions/old-key.toml";

#[test]
fn an_exception_says_why_what_instead_where_and_who() {
    world().with(PATH, "\"vendor\"", "\" \"").says("slm::exception-unexplained", "\" \"", "why");
    world().with(PATH, "\"network rule\"", "\"\"").says("slm::exception-unexplained", "\"\"", "stands in");
    world().with(PATH, "\"SEC-1\"", "\"\"").says("slm::exception-unexplained", "\"\"", "ticket");
    world().with(PATH, "\"one\"", "\"\"").says("slm::exception-unexplained", "\"\"", "person");
}

#[test]
fn an_exception_is_for_one_resource_and_not_for_a_pattern() {
    for pattern in ["AKIA*", "arn:aws:iam::1:user/?", ""] {
        let quoted = format!("\"{pattern}\"");
        world().with(PATH, "\"AKIA1\"", &quoted).says("slm::exception-too-broad", &quoted, "one resource");
    }
}

#[test]
fn an_exception_that_is_approved_later_permits_nothing_yet() {
    let later = world().with(PATH, "2026-01-01", "2026-02-02");
    later.says("slm::exception-ahead", "2026-02-02T00:00:00Z", "");
}

#[test]
fn renewals_are_counted_and_the_second_is_told() {
    let earlier = |list: &str| world().with(PATH, "approved =", &format!("earlier = [{list}]\napproved ="));
    assert_eq!(earlier("\"2025-10-10T00:00:00Z\"").found(), []);
    let catalog = earlier("2025-10-10T00:00:00Z").load().catalog.unwrap();
    assert_eq!(catalog.exceptions["old-key"].earlier, ["2025-10-10T00:00:00Z".parse().unwrap()]);
    let twice = earlier("\"2025-07-15T00:00:00Z\", \"2025-10-10T00:00:00Z\"");
    twice.says("slm::exception-renewed", "[\"2025-07-15T00:00:00Z\", \"2025-10-10T00:00:00Z\"]", "no exception");
    assert!(twice.load().diagnostics[0].message.contains("renewed 2 times and lasts 229 days"), "{:?}", twice.load().diagnostics);
    earlier("\"2026-01-02T00:00:00Z\"").says("slm::bad-renewals", "\"2026-01-02T00:00:00Z\"", "from the first");
}

#[test]
fn two_exceptions_for_the_same_are_one_that_is_to_be_renewed() {
    let again = "control = \"ROT-01\"\nresource = \"AKIA1\"\nreason = \"r\"\ncompensating = \"c\"\nticket = \"t\"\nrequester = \"a\"\n\
                 approver = \"b\"\napproved = 2026-01-20T00:00:00Z\nexpires = 2026-04-01T00:00:00Z\n";
    world().file("exceptions/again.toml", again).says("slm::exception-twice", "\"AKIA1\"", "2026-01-01T00:00:00Z");
    let other = again.replace("AKIA1", "AKIA2");
    assert_eq!(world().file("exceptions/again.toml", &other).found(), []);
}
