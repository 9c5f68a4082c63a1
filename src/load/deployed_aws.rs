//! Checks on consumers that are deployed in AWS: a service of ECS, a function of Lambda.

use super::checks::Repo;
use super::managed::source;
use super::near;
use super::raw_managed::Consumer;
use super::text::{Doc, error};
use crate::model::catalog::{EcsConsumer, LambdaConsumer};
use crate::model::diagnostic::Diagnostic;
use crate::model::id::SourceId;

/// What is wrong with `consumer`, if it is deployed in AWS.
pub(super) fn one(repo: &Repo<'_>, doc: &Doc<'_>, index: &str, consumer: &Consumer, out: &mut Vec<Diagnostic>) {
    let Some(secret) = repo.credentials.iter().find(|item| item.doc.stem == doc.stem).map(|item| &item.raw.secret) else { return };
    let home = |kind, source: &Option<SourceId>, region: &Option<String>| Home {
        keys: ["consumer", index, kind],
        source: source.as_ref().map_or_else(|| secret.source.clone(), ToString::to_string),
        region: region.clone().or_else(|| secret.region.clone()),
        own: source.is_some(),
    };
    if let Some(service) = &consumer.ecs_service {
        let home = home("ecs-service", &service.source, &service.region);
        home.check(repo, doc, out);
        ecs(doc, &home, secret.region.is_some(), service, out);
        if other_setter(repo, doc, &home, service) {
            shared_variable(doc, &home, service.variable.as_deref().unwrap_or_default(), out);
        }
    }
    if let Some(function) = &consumer.lambda {
        let home = home("lambda", &function.source, &function.region);
        home.check(repo, doc, out);
        lambda(repo, doc, &home, function, out);
    }
}

/// Where a consumer is, with what stands in for what it does not say.
#[derive(PartialEq, Eq)]
struct Home<'a> {
    /// The keys that lead to it in its file.
    keys: [&'a str; 3],
    source: String,
    region: Option<String>,
    /// It says its source itself.
    own: bool,
}

impl Home<'_> {
    fn at<'k>(&'k self, key: &'k str) -> [&'k str; 4] {
        let [table, index, kind] = self.keys;
        [table, index, kind, key]
    }

    /// It is a region in scope of an account.
    fn check(&self, repo: &Repo<'_>, doc: &Doc<'_>, out: &mut Vec<Diagnostic>) {
        let place = self.at("source");
        // Of the secret's own source is complained where that is named.
        if !self.own && repo.settings.as_ref().is_none_or(|item| !item.raw.source.contains_key(&self.source)) {
            return;
        }
        let Some(found) = source(repo, doc, &place, &self.source, out) else { return };
        let Some(aws) = &found.aws else {
            let message = format!("source `{}` is not an AWS account", self.source);
            out.push(error("slm::wrong-source-kind", doc.at(&place), message, Some("use a source of kind `aws`".to_owned())));
            return;
        };
        let regions = || aws.regions.iter().map(String::as_str);
        match self.region.as_deref() {
            None => {
                let help = format!("add `region`, one of {}", near::list(regions()));
                out.push(error("slm::missing-region", doc.at(&self.keys), "nobody knows in which region it is", Some(help)));
            }
            Some(region) if !regions().any(|known| known == region) => {
                let help = near::did_you_mean(region, regions());
                let help = help.or_else(|| Some(format!("its regions are {}", near::list(regions()))));
                let message = format!("region `{region}` is not in scope of source `{}`", self.source);
                out.push(error("slm::unknown-region", doc.at(&self.at("region")), message, help));
            }
            Some(_) => {}
        }
    }
}

fn lambda(repo: &Repo<'_>, doc: &Doc<'_>, home: &Home<'_>, function: &LambdaConsumer, out: &mut Vec<Diagnostic>) {
    let at = |key| doc.at(&home.at(key));
    for (key, name, longest) in [("function", Some(&function.function), 64), ("alias", function.alias.as_ref(), 128)] {
        if let Some(name) = name.filter(|name| !is_name(name, longest) || key == "alias" && is_number(name)) {
            let help = format!("use `A-Z a-z 0-9 - _`, at most {longest} characters, and no number for an alias");
            out.push(error("slm::bad-object-name", at(key), format!("`{name}` cannot be used as a name"), Some(help)));
        }
    }
    if !is_variable(&function.variable) {
        let help = "use `A-Z a-z 0-9 _`, a letter first, and neither `AWS_` nor `LAMBDA_` in front".to_owned();
        let message = format!("`{}` cannot be set in a function", function.variable);
        out.push(error("slm::bad-variable", at("variable"), message, Some(help)));
    }
    if function.extension_ttl.is_some() {
        let help = "delete it, or `extension-ttl`".to_owned();
        let place = [("source", function.source.is_some()), ("region", function.region.is_some())];
        let update = [("alias", function.alias.is_some()), ("timeout", function.timeout.is_some())];
        for (key, _) in place.into_iter().chain(update).filter(|(_, given)| *given) {
            let message = format!("`{key}` says nothing about a function that reads by itself");
            out.push(error("slm::impossible-function", at(key), message, Some(help.clone())));
        }
    } else if other_writer(repo, doc, home, function) {
        shared_variable(doc, home, &function.variable, out);
    }
}

fn shared_variable(doc: &Doc<'_>, home: &Home<'_>, name: &str, out: &mut Vec<Diagnostic>) {
    let message = format!("variable `{name}` is set for another consumer as well");
    let help = "give each credential a variable of its own".to_owned();
    out.push(error("slm::shared-variable", doc.at(&home.keys), message, Some(help)));
}

fn ecs(doc: &Doc<'_>, home: &Home<'_>, in_aws: bool, service: &EcsConsumer, out: &mut Vec<Diagnostic>) {
    let at = |key| doc.at(&home.at(key));
    // Both are one tag of at most 256 characters.
    let names = [("cluster", Some(&service.cluster), 127), ("service", Some(&service.service), 127)];
    for (key, name, longest) in names.into_iter().chain([("container", service.container.as_ref(), 255)]) {
        if let Some(name) = name.filter(|name| !is_name(name, longest)) {
            let help = format!("use `A-Z a-z 0-9 - _`, at most {longest} characters");
            out.push(error("slm::bad-object-name", at(key), format!("`{name}` cannot be used as a name"), Some(help)));
        }
    }
    match &service.variable {
        None if !in_aws => {
            let help = "add `variable`: tasks take values from Secrets Manager alone".to_owned();
            out.push(error("slm::cannot-pin", doc.at(&home.keys), "no task can take this secret by its version", Some(help)));
        }
        Some(name) if !is_variable(name) => {
            let help = "use `A-Z a-z 0-9 _`, a letter first, and neither `AWS_` nor `LAMBDA_` in front".to_owned();
            out.push(error("slm::bad-variable", at("variable"), format!("`{name}` cannot be set in a container"), Some(help)));
        }
        _ => {}
    }
}

/// True when another consumer sets the same variable: each would undo the other.
fn other_writer(repo: &Repo<'_>, doc: &Doc<'_>, home: &Home<'_>, function: &LambdaConsumer) -> bool {
    let mut all = repo.credentials.iter().flat_map(|item| {
        item.raw.consumer.iter().enumerate().filter_map(move |(index, one)| Some((item, index.to_string(), one.lambda.as_ref()?)))
    });
    all.any(|(item, index, other)| {
        let place = (
            other.source.as_ref().map_or(item.raw.secret.source.as_str(), |source| source.as_str()),
            other.region.as_deref().or(item.raw.secret.region.as_deref()),
        );
        let itself = item.doc.stem == doc.stem && index == home.keys[1];
        let same = (&other.function, &other.variable) == (&function.function, &function.variable);
        !itself && same && place == (home.source.as_str(), home.region.as_deref()) && other.extension_ttl.is_none()
    })
}

/// True when another consumer sets the same variable in the same containers of a service.
fn other_setter(repo: &Repo<'_>, doc: &Doc<'_>, home: &Home<'_>, service: &EcsConsumer) -> bool {
    let mut all = repo.credentials.iter().flat_map(|item| {
        item.raw
            .consumer
            .iter()
            .enumerate()
            .filter_map(move |(index, one)| Some((item, index.to_string(), one.ecs_service.as_ref()?)))
    });
    service.variable.is_some()
        && all.any(|(item, index, other)| {
            let place = (
                other.source.as_ref().map_or(item.raw.secret.source.as_str(), |source| source.as_str()),
                other.region.as_deref().or(item.raw.secret.region.as_deref()),
            );
            let itself = item.doc.stem == doc.stem && index == home.keys[1];
            let same = (&other.cluster, &other.service, &other.variable) == (&service.cluster, &service.service, &service.variable);
            let apart = other.container.is_some() && service.container.is_some() && other.container != service.container;
            !itself && same && !apart && place == (home.source.as_str(), home.region.as_deref())
        })
}

fn is_name(name: &str, longest: usize) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.len() <= longest && name.bytes().all(good)
}

fn is_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

/// True for what Lambda takes for the name of a variable and does not set itself.
fn is_variable(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts = name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    starts && name.len() > 1 && name.bytes().all(good) && !["AWS_", "LAMBDA_"].iter().any(|taken| name.starts_with(taken))
}
