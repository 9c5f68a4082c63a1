//! What the answers of a vendor's HTTP API say, read where the config points.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use zeroize::Zeroize;

use crate::model::rotator::Listed;
use crate::model::time::Timestamp;
use crate::transport::template::render;
use crate::world::{KeyView, LastUse};

/// A number at least this large is an instant in milliseconds: in seconds it would be in the year 5138.
const MILLISECONDS: i64 = 100_000_000_000;

/// An answer of 2xx.
pub(super) struct Answer {
    /// The vendor's clock.
    pub now: Option<Timestamp>,
    /// What it says; wiped when it is dropped.
    pub json: Json,
}

impl Drop for Answer {
    fn drop(&mut self) {
        wipe(&mut self.json);
    }
}

/// Overwrites every text in `json`.
pub(super) fn wipe(json: &mut Json) {
    match json {
        Json::String(text) => text.zeroize(),
        Json::Array(items) => items.iter_mut().for_each(wipe),
        Json::Object(fields) => fields.values_mut().for_each(wipe),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

impl Answer {
    /// True when everything in `wanted` stands where it says.
    pub fn shows(&self, wanted: &BTreeMap<String, Json>) -> bool {
        wanted.iter().all(|(pointer, json)| self.json.pointer(pointer) == Some(json))
    }
}

/// The scheme and authority of `url`.
pub(super) fn origin(url: &str) -> &str {
    let rest = url.find("://").map_or(0, |at| at + 3);
    url[rest..].find(['/', '?', '#']).map_or(url, |end| &url[..rest + end])
}

/// Text or a number as text; `None` for anything else.
pub(super) fn text(json: &Json) -> Option<String> {
    match json {
        Json::String(text) if !text.is_empty() => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// An instant as RFC 3339 text, a day (its last second), or seconds or milliseconds since 1970.
fn instant(json: &Json) -> Option<Timestamp> {
    match json {
        Json::String(text) => text.parse().ok().or_else(|| format!("{text}T23:59:59Z").parse().ok()),
        Json::Number(number) => match number.as_i64()? {
            millis if millis >= MILLISECONDS => Timestamp::from_millisecond(millis).ok(),
            seconds => Timestamp::from_second(seconds).ok(),
        },
        _ => None,
    }
}

/// `json` with its texts filled in.
pub(super) fn fill(json: &Json, known: &minijinja::Value) -> Result<Json, String> {
    Ok(match json {
        Json::String(text) => Json::String(render(text, known.clone())?.to_string()),
        Json::Array(items) => Json::Array(items.iter().map(|item| fill(item, known)).collect::<Result<_, _>>()?),
        Json::Object(fields) => {
            Json::Object(fields.iter().map(|(key, item)| Ok((key.clone(), fill(item, known)?))).collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

/// The credential that `item` of a list shows, without whose it is, and its name; what is missing where `listed` says is the error.
pub(super) fn view(item: &Json, listed: &Listed) -> Result<(KeyView, Option<String>), &'static str> {
    let id = item.pointer(&listed.id).and_then(text).ok_or("an id")?;
    let mut active = true;
    for (pointer, wanted) in &listed.active {
        active &= item.pointer(pointer).ok_or("its state")? == wanted;
    }
    let at = |pointer: &Option<String>| pointer.as_ref().and_then(|pointer| item.pointer(pointer));
    let created = match at(&listed.created) {
        None | Some(Json::Null) => None,
        Some(json) => Some(instant(json).ok_or("an instant")?),
    };
    let last_used = match at(&listed.last_used) {
        None if listed.last_used.is_some() => return Err("a last use"),
        None => LastUse::Untold,
        Some(Json::Null) => LastUse::Never,
        Some(json) => LastUse::At(instant(json).ok_or("an instant")?, "somebody".to_owned()),
    };
    let view = KeyView { id: id.into(), active, version: None, created, last_used, ours: false };
    Ok((view, item.pointer(&listed.name).and_then(text)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_last_use_that_is_declared_and_not_told_is_an_error_and_null_alone_says_never() {
        let listed = |last_used: Option<&str>| Listed {
            items: String::new(),
            id: "/id".to_owned(),
            name: "/name".to_owned(),
            created: None,
            last_used: last_used.map(str::to_owned),
            active: BTreeMap::new(),
            next: None,
            first_page: 0,
            total: None,
            whole: true,
        };
        let seen = |item: Json, last_used| view(&item, &listed(last_used)).map(|(view, _)| view.last_used);
        assert_eq!(seen(json!({ "id": "k" }), Some("/used")), Err("a last use"));
        assert_eq!(seen(json!({ "id": "k", "used": null }), Some("/used")), Ok(LastUse::Never));
        assert_eq!(seen(json!({ "id": "k", "used": "soon" }), Some("/used")), Err("an instant"));
        let at = "2026-11-24T06:00:00Z".parse().unwrap();
        let told = json!({ "id": "k", "used": "2026-11-24T06:00:00Z" });
        assert_eq!(seen(told.clone(), Some("/used")), Ok(LastUse::At(at, "somebody".to_owned())));
        assert_eq!(seen(told, None), Ok(LastUse::Untold));
    }

    #[test]
    fn an_origin_ends_where_the_path_begins() {
        for (url, wanted) in [
            ("https://api.example.com/v2/keys", "https://api.example.com"),
            ("https://api.example.com?x=/", "https://api.example.com"),
            ("http://127.0.0.1:80", "http://127.0.0.1:80"),
            ("https://api.example.com.evil.test/", "https://api.example.com.evil.test"),
            ("https://api.example.com@evil.test/", "https://api.example.com@evil.test"),
        ] {
            assert_eq!(origin(url), wanted);
        }
    }

    #[test]
    fn an_instant_is_told_in_one_of_four_ways() {
        let wanted = "2026-11-24T06:00:00Z".parse::<Timestamp>().ok();
        for told in
            [json!("2026-11-24T06:00:00Z"), json!("2026-11-24T07:00:00+01:00"), json!(1_795_500_000), json!(1_795_500_000_000_i64)]
        {
            assert_eq!(instant(&told), wanted, "{told}");
        }
        assert_eq!(instant(&json!("2026-11-24")), "2026-11-24T23:59:59Z".parse().ok());
        for none in [json!("yesterday"), json!(""), json!(true), json!(1.5)] {
            assert_eq!(instant(&none), None, "{none}");
        }
    }
}
