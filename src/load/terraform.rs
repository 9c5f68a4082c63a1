//! Terraform beside the config: a value that slm manages would stand in its state, or two would write it.
//!
//! Looked at is what a file says by itself: literal names, and references to what the same folder declares.

use std::collections::{BTreeMap, BTreeSet};

use hcl_edit::Span as _;
use hcl_edit::expr::{Expression, Traversal, TraversalOperator};
use hcl_edit::structure::{Block, Body};
use hcl_edit::visit::{Visit, visit_traversal};

use super::checks::Repo;
use super::text::{Item, visible, warning};
use super::{raw, terraform_owned};
use crate::model::diagnostic::{Diagnostic, Place};

/// What a file must name to be worth reading.
const WORDS: [&str; 5] = ["aws_secretsmanager_secret", "random_password", "aws_iam_access_key", "aws_iam_user", "github_"];

/// A resource, or what is read of one that stands elsewhere.
pub(super) struct Found<'a> {
    pub(super) path: &'a str,
    text: &'a str,
    pub(super) kind: String,
    pub(super) label: String,
    block: Block,
}

/// What one folder declares.
pub(super) type Module<'a> = Vec<Found<'a>>;

impl Found<'_> {
    /// As Terraform names it.
    pub(super) fn address(&self) -> String {
        format!("{}.{}", self.kind, self.label)
    }

    /// The value of `key`.
    pub(super) fn value(&self, key: &str) -> Option<&Expression> {
        Some(&self.block.body.get_attribute(key)?.value)
    }

    /// The attribute `key`, or the whole.
    pub(super) fn place(&self, key: Option<&str>) -> Place {
        let attribute = key.and_then(|key| self.block.body.get_attribute(key)?.key.span());
        let span = attribute.or_else(|| self.block.ident.span()).unwrap_or(0..0);
        Place { file: self.path.to_owned(), span: visible(self.text, span) }
    }

    /// True when it stays as it was first written, whatever somebody else makes of it.
    pub(super) fn ignores(&self, key: &str) -> bool {
        let all = self.block.body.get_blocks("lifecycle").filter_map(|block| block.body.get_attribute("ignore_changes"));
        let named = |value: &Expression, name: &str| value.as_variable().is_some_and(|ident| ident.as_str() == name);
        all.map(|attribute| &attribute.value)
            .any(|value| named(value, "all") || value.as_array().is_some_and(|array| array.iter().any(|item| named(item, key))))
    }

    pub(super) fn has_block(&self, ident: &str) -> bool {
        self.block.body.has_blocks(ident)
    }
}

/// Words of every reference in an expression: `aws_iam_user`, `ci`, `name`.
#[derive(Default)]
struct References(Vec<Vec<String>>);

impl Visit for References {
    fn visit_traversal(&mut self, node: &Traversal) {
        if let Some(first) = node.expr.as_variable() {
            let rest = node.operators.iter().filter_map(|operator| match operator.value() {
                TraversalOperator::GetAttr(name) => Some(name.as_str().to_owned()),
                _ => None,
            });
            let words = std::iter::once(first.as_str().to_owned()).chain(rest);
            self.0.push(words.skip_while(|word| word == "data").collect());
        }
        visit_traversal(self, node);
    }
}

/// What `expression` refers to.
pub(super) fn references(expression: &Expression) -> Vec<Vec<String>> {
    let mut all = References::default();
    all.visit_expr(expression);
    all.0
}

/// The name that `expression` stands for: literal, or that of what it refers to in `module`, whose attribute `key` it is.
pub(super) fn name(module: &Module<'_>, expression: &Expression, key: &str) -> Option<String> {
    if let Some(text) = expression.as_str() {
        return Some(text.to_owned());
    }
    let whole = expression.as_traversal().is_some()
        || expression.as_string_template().is_some_and(|text| text.as_single_element().is_some());
    let all = references(expression);
    let [words] = &all[..] else { return None };
    let (kind, label) = (words.first()?, words.get(1)?);
    let found = module.iter().find(|found| found.kind == *kind && found.label == *label)?;
    found.value(key).filter(|_| whole)?.as_str().map(str::to_owned)
}

/// Everything wrong in the files of Terraform.
pub(super) fn terraform(repo: &Repo<'_>, out: &mut Vec<Diagnostic>) {
    if repo.terraform.is_empty() {
        return;
    }
    let mut modules: BTreeMap<&str, Module<'_>> = BTreeMap::new();
    for (path, text) in repo.terraform.iter().filter(|(_, text)| WORDS.iter().any(|word| text.contains(word))) {
        match text.parse::<Body>() {
            Ok(body) => {
                modules.entry(path.rsplit_once('/').map_or("", |(folder, _)| folder)).or_default().extend(all(path, text, body))
            }
            Err(wrong) => {
                let at = wrong.location().offset();
                let place = Place { file: (*path).to_owned(), span: visible(text, at..at) };
                let message = "this file of Terraform cannot be read, and what it keeps in its state is not known";
                out.push(warning("slm::terraform-syntax", place, message, None));
            }
        }
    }
    // What only something else rotates is its own.
    let managed: Vec<&Item<'_, raw::Credential>> =
        repo.credentials.iter().filter(|item| item.raw.rotator.observe.is_none()).collect();
    for module in modules.values() {
        let started = terraform_owned::started(module);
        for found in module {
            for item in &managed {
                terraform_owned::one(repo, module, &started, found, item, out);
            }
        }
    }
}

fn all<'a>(path: &'a str, text: &'a str, body: Body) -> impl Iterator<Item = Found<'a>> {
    let blocks = body.into_blocks().filter(|block| ["resource", "data"].contains(&block.ident.as_str()));
    blocks.filter_map(move |block| {
        let [kind, label] = &block.labels[..] else { return None };
        let (kind, label) = (kind.as_str().to_owned(), label.as_str().to_owned());
        Some(Found { path, text, kind, label, block })
    })
}

/// Labels of passwords that are only somebody's first.
pub(super) type Started = BTreeSet<String>;
