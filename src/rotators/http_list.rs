//! The list of a vendor's credentials, to its last page; one that does not show that it is whole is an error.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::http::Vendor;
use super::http_answer::{Answer, origin, text, view};
use super::http_talk::Known;
use crate::model::id::KeyId;
use crate::world::{ErrorClass, KeyView, Listing, WorldError};

/// Pages after which a list is taken for one without an end.
const PAGES: u32 = 1_000;

impl Vendor {
    /// The address of the page that follows `answer`, or what stands for it; `None` on the last.
    fn following(&self, answer: &Answer) -> Result<Option<String>, WorldError> {
        let Some(pointer) = &self.config.listed.next else { return Ok(None) };
        match answer.json.pointer(pointer) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) if text.is_empty() => Ok(None),
            Some(json) => text(json)
                .map(Some)
                .ok_or_else(|| self.wrong(ErrorClass::Permanent, "list", "the answer does not say what comes next")),
        }
    }

    /// The address of a page: of the first one, or of what `next` says.
    fn page(&self, next: Option<&str>, page: u32) -> Result<String, WorldError> {
        let step = &self.config.list;
        match next {
            Some(next) if !step.says("next") && next.starts_with('/') => Ok(format!("{}{next}", origin(&step.url))),
            Some(next) if !step.says("next") => Ok(next.to_owned()),
            next => self.address("list", step, Known { next, page: Some(page), ..Known::default() }),
        }
    }

    /// Every credential, to the last page, and the vendor's clock at the first.
    pub(super) async fn all(&self) -> Result<Listing, WorldError> {
        let (step, listed) = (&self.config.list, &self.config.listed);
        let incomplete = |cause| self.wrong(ErrorClass::Transient, "list", cause);
        let (mut keys, mut now, mut next) = (Vec::new(), None, None);
        for number in 0..PAGES {
            let url = self.page(next.as_deref(), listed.first_page + number)?;
            let known = Known { next: Some(next.as_deref().unwrap_or_default()), page: Some(number), ..Known::default() };
            let answer = self.done("list", step, &self.talk("list", step, &url, known).await?)?;
            let items = answer.json.pointer(&listed.items).and_then(Json::as_array);
            let items =
                items.ok_or_else(|| self.wrong(ErrorClass::Permanent, "list", "the answer has another shape than declared"))?;
            for item in items {
                let shape =
                    |what| self.wrong(ErrorClass::Permanent, "list", &format!("an item without {what} where `listed` says"));
                let (view, name) = view(item, listed).map_err(shape)?;
                keys.push(KeyView { ours: name.is_some_and(|name| self.is_ours(&name)), ..view });
            }
            now = now.or(answer.now);
            let total = match &listed.total {
                None => None,
                Some(at) => Some(answer.json.pointer(at).and_then(Json::as_u64).ok_or_else(|| incomplete("no total is told"))?),
            };
            let following = self.following(&answer)?;
            let more = match (&following, total) {
                (Some(_), _) => true,
                (None, Some(total)) => step.says("page") && !items.is_empty() && (keys.len() as u64) < total,
                (None, None) => step.says("page") && !items.is_empty(),
            };
            if !more {
                let ids: BTreeSet<&KeyId> = keys.iter().map(|key| &key.id).collect();
                if ids.len() != keys.len() || total.is_some_and(|total| total != keys.len() as u64) {
                    return Err(incomplete("the list is incomplete or names a credential twice"));
                }
                let now = now.ok_or_else(|| incomplete("an answer without a date"))?;
                return Ok(Listing { now, keys });
            }
            if following.is_some() && following == next {
                return Err(incomplete("a page leads to itself"));
            }
            next = following;
        }
        Err(incomplete("the list does not end"))
    }
}
