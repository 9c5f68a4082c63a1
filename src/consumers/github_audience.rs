//! Who may see a secret of an organisation, and who it was given to.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::github_home::{Home, pages, repo_route};
use crate::model::catalog::Visibility;
use crate::transport::github::Failure;

#[derive(Deserialize)]
struct Shared {
    visibility: String,
}

#[derive(Deserialize)]
struct Chosen<T> {
    repositories: Vec<T>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
}

#[derive(Deserialize)]
struct Reader {
    full_name: String,
}

impl Home {
    /// Who may see an organisation's secret `name`: whoever was declared, else whoever may see it now, else private repositories.
    pub(super) async fn audience(&self, name: &str) -> Result<Map<String, Value>, Failure> {
        if !self.shared {
            return Ok(Map::new());
        }
        let route = format!("{}/{name}", self.secrets);
        let (visibility, ids) = match &self.declared {
            Some((Visibility::All, _)) => ("all".to_owned(), None),
            Some((Visibility::Private, _)) => ("private".to_owned(), None),
            Some((Visibility::Selected, repos)) => {
                let mut ids = Vec::new();
                for repo in repos {
                    ids.push(self.github.get(&repo_route(repo)).await?.read::<Repository>()?.id);
                }
                ("selected".to_owned(), Some(ids))
            }
            None => match self.github.get(&route).await {
                Ok(answer) => match answer.read::<Shared>()?.visibility {
                    visibility if visibility == "selected" => {
                        let chosen = self.chosen::<Repository>(&route).await?;
                        (visibility, Some(chosen.iter().map(|repository| repository.id).collect()))
                    }
                    visibility => (visibility, None),
                },
                Err(Failure::Status(404)) => ("private".to_owned(), None),
                Err(failure) => return Err(failure),
            },
        };
        let mut audience = Map::from_iter([("visibility".to_owned(), visibility.into())]);
        audience.extend(ids.map(|ids| ("selected_repository_ids".to_owned(), ids.into())));
        Ok(audience)
    }

    /// The repositories in which an organisation's secrets `names` may be overridden: those that they were given to, and those `declared`.
    /// Beside them why not all may be known.
    pub(super) async fn searched(&self, names: &[String], declared: &[String]) -> (BTreeSet<String>, Option<String>) {
        let (mut all, mut unlisted): (BTreeSet<String>, _) = (declared.iter().cloned().collect(), None);
        for name in names {
            match self.readers(name).await {
                Ok(readers) => all.extend(readers.into_iter().flatten()),
                Err(failure) => unlisted = Some(format!("the repositories that see `{name}` cannot be listed: {failure}")),
            }
        }
        (all, unlisted)
    }

    /// The repositories that an organisation's secret `name` is given to, by `owner/name`; `None` when they are not chosen one by one.
    pub(super) async fn readers(&self, name: &str) -> Result<Option<Vec<String>>, Failure> {
        let route = format!("{}/{name}", self.secrets);
        match self.github.get(&route).await {
            Ok(answer) if answer.read::<Shared>()?.visibility == "selected" => {
                let chosen = self.chosen::<Reader>(&route).await?;
                Ok(Some(chosen.into_iter().map(|reader| reader.full_name).collect()))
            }
            Ok(_) | Err(Failure::Status(404)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn chosen<T: DeserializeOwned>(&self, route: &str) -> Result<Vec<T>, Failure> {
        let pages = pages::<Chosen<T>>(&self.github, format!("{route}/repositories?per_page=100")).await?;
        Ok(pages.into_iter().flat_map(|page| page.repositories).collect())
    }
}
