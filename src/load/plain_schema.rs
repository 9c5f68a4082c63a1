//! A schema as people write it, read without Cedar's own parser, which builds a lexer anew for every name in it.
//!
//! What is unusual, and everything wrong, is left to Cedar: only what it would read the same way is read here.

use std::collections::{BTreeMap, HashMap, btree_map};

use cedar_policy::Schema;
use cedar_policy_core::FromNormalizedStr as _;
use cedar_policy_core::ast::{Name, UnreservedId};
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::validator::json_schema::{
    ActionType, ApplySpec, AttributesOrContext, EntityType, EntityTypeKind, Fragment, NamespaceDefinition, RecordType,
    StandardEntityType, Type, TypeOfAttribute, TypeVariant,
};
use cedar_policy_core::validator::{RawName, ValidatorSchema, ValidatorSchemaFragment};

use super::tokens::tokens;

/// The schema of `text`; `None` when Cedar has to read it.
pub fn schema(text: &str) -> Option<Schema> {
    let fragment = ValidatorSchemaFragment::from_schema_fragment(fragment(text)?).ok()?;
    Some(ValidatorSchema::from_schema_fragments([fragment], Extensions::all_available()).ok()?.into())
}

/// Words that mean something in a schema, or that a declaration would hide.
const TAKEN: [&str; 30] = [
    "Bool",
    "Boolean",
    "Entity",
    "EntityOrCommon",
    "Extension",
    "Long",
    "Record",
    "Set",
    "String",
    "__cedar",
    "action",
    "appliesTo",
    "attributes",
    "context",
    "datetime",
    "decimal",
    "duration",
    "entity",
    "enum",
    "external",
    "in",
    "ipaddr",
    "namespace",
    "principal",
    "resource",
    "tags",
    "type",
    "if",
    "true",
    "false",
];
/// Types of Cedar's own that an attribute may have.
const VALUES: [&str; 7] = ["Bool", "Long", "String", "datetime", "decimal", "duration", "ipaddr"];

fn fragment(text: &str) -> Option<Fragment<RawName>> {
    let mut reader = Reader { text, tokens: tokens(text).map(|at| &text[at]).collect(), at: 0, names: HashMap::new() };
    let mut spaces = BTreeMap::new();
    while reader.peek().is_some() {
        reader.take("namespace")?;
        let name = Name::from_normalized_str(reader.word()?).ok()?;
        once(spaces.entry(Some(name)), reader.namespace()?)?;
    }
    Some(Fragment(spaces))
}

/// Sets what nothing was said of.
fn once<K: Ord, V>(entry: btree_map::Entry<'_, K, V>, value: V) -> Option<()> {
    match entry {
        btree_map::Entry::Vacant(free) => {
            free.insert(value);
            Some(())
        }
        btree_map::Entry::Occupied(_) => None,
    }
}

struct Reader<'a> {
    text: &'a str,
    tokens: Vec<&'a str>,
    at: usize,
    names: HashMap<&'a str, RawName>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.peek()?;
        self.at += 1;
        Some(token)
    }

    fn take(&mut self, wanted: &str) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    fn maybe(&mut self, wanted: &str) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    /// A name somebody declares.
    fn word(&mut self) -> Option<&'a str> {
        self.next().filter(|word| is_word(word) && !TAKEN.contains(word))
    }

    /// A string in which nothing is escaped.
    fn string(&mut self) -> Option<&'a str> {
        let inside = self.next()?.strip_prefix('"')?.strip_suffix('"')?;
        (!inside.contains('\\')).then_some(inside)
    }

    /// A name somebody refers to: words with `::` between, and no space.
    fn path(&mut self) -> Option<RawName> {
        let first = self.next()?;
        let mut last = first;
        while self.maybe(":") {
            self.take(":")?;
            last = self.next()?;
        }
        let offset = |part: &str| part.as_ptr() as usize - self.text.as_ptr() as usize;
        let path = &self.text[offset(first)..offset(last) + last.len()];
        if let Some(known) = self.names.get(path) {
            return Some(known.clone());
        }
        let plain = |part: &str| is_word(part) && !TAKEN.contains(&part);
        if !VALUES.contains(&path) && !path.split("::").all(plain) {
            return None;
        }
        let name = RawName::from_normalized_str(path).ok()?;
        self.names.insert(path, name.clone());
        Some(name)
    }

    /// `[A, B]`.
    fn paths(&mut self) -> Option<Vec<RawName>> {
        self.take("[")?;
        let mut all = vec![self.path()?];
        while !self.maybe("]") {
            self.take(",")?;
            all.push(self.path()?);
        }
        Some(all)
    }

    fn namespace(&mut self) -> Option<NamespaceDefinition<RawName>> {
        let (mut entities, mut actions) = (BTreeMap::new(), BTreeMap::new());
        self.take("{")?;
        while !self.maybe("}") {
            match self.next()? {
                "entity" => {
                    let name = UnreservedId::from_normalized_str(self.word()?).ok()?;
                    once(entities.entry(name), self.entity()?)?;
                }
                "action" => {
                    let mut names = vec![self.string()?];
                    while self.maybe(",") {
                        names.push(self.string()?);
                    }
                    let action = self.action()?;
                    for name in names {
                        once(actions.entry(name.into()), action.clone())?;
                    }
                }
                _ => return None,
            }
        }
        Some(NamespaceDefinition {
            common_types: BTreeMap::new(),
            entity_types: entities,
            actions,
            annotations: Default::default(),
        })
    }

    fn entity(&mut self) -> Option<EntityType<RawName>> {
        let member_of_types = if self.maybe("in") { self.paths()? } else { Vec::new() };
        let shape = if self.maybe("=") { self.record()? } else { AttributesOrContext::default() };
        self.take(";")?;
        let kind = EntityTypeKind::Standard(StandardEntityType { member_of_types, shape, tags: None });
        Some(EntityType { kind, external: false, annotations: Default::default(), loc: None })
    }

    fn action(&mut self) -> Option<ActionType<RawName>> {
        for token in ["appliesTo", "{", "principal", ":"] {
            self.take(token)?;
        }
        let principal_types = self.paths()?;
        for token in [",", "resource", ":"] {
            self.take(token)?;
        }
        let resource_types = self.paths()?;
        for token in [",", "context", ":"] {
            self.take(token)?;
        }
        let context = self.record()?;
        self.maybe(",");
        self.take("}")?;
        self.take(";")?;
        Some(ActionType {
            attributes: None,
            applies_to: Some(ApplySpec { resource_types, principal_types, context }),
            member_of: None,
            external: false,
            annotations: Default::default(),
            loc: None,
        })
    }

    /// `{ "a"?: Long, b: String }`.
    fn record(&mut self) -> Option<AttributesOrContext<RawName>> {
        let mut attributes = BTreeMap::new();
        self.take("{")?;
        while !self.maybe("}") {
            let name = if self.peek()?.starts_with('"') { self.string()? } else { self.word()? };
            let required = !self.maybe("?");
            self.take(":")?;
            let ty = Type::Type { ty: TypeVariant::EntityOrCommon { type_name: self.path()? }, loc: None };
            once(attributes.entry(name.into()), TypeOfAttribute { ty, annotations: Default::default(), required })?;
            if self.peek() != Some("}") {
                self.take(",")?;
            }
        }
        let record = RecordType { attributes, additional_attributes: false };
        Some(AttributesOrContext(Type::Type { ty: TypeVariant::Record(record), loc: None }))
    }
}

fn is_word(token: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    token.bytes().next().is_some_and(letter) && token.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../policies/schema.cedarschema");

    fn cedars(text: &str) -> Option<Fragment<RawName>> {
        let (fragment, warnings) = Fragment::from_cedarschema_str(text, Extensions::all_available()).ok()?;
        (warnings.count() == 0).then_some(fragment)
    }

    #[test]
    fn the_shipped_schema_is_read_as_cedar_reads_it() {
        assert_eq!(fragment(SHIPPED).unwrap(), cedars(SHIPPED).unwrap());
    }

    #[test]
    fn what_is_read_here_is_what_cedar_reads() {
        for text in [
            "namespace A { entity B; entity C in [B, A::B] = { a: Long, \"b c\"?: B, }; }",
            "namespace A { entity B = {}; } namespace D { action \"x\", \"y\" appliesTo { principal: [A::B], resource: [A::B], context: {} }; }",
            "",
        ] {
            assert_eq!(fragment(text).unwrap(), cedars(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_cedar() {
        for text in [
            "entity B;",
            "namespace A { type T = Long; }",
            "namespace A { entity B = { a: Set<Long> }; }",
            "namespace A { entity B = { a: { b: Long } }; }",
            "namespace A { entity B { a: Long }; }",
            "namespace A { entity String; }",
            "namespace A { entity datetime; }",
            "namespace A { entity B; entity B; }",
            "namespace A { entity B = { a: Long, a: Long }; }",
            "namespace A { entity B = { \"a\\n\": Long }; }",
            "namespace A { entity B enum [\"x\"]; }",
            "namespace A { entity B tags Long; }",
            "namespace A { @doc(\"x\") entity B; }",
            "namespace A { entity B; } namespace A { entity C; }",
            "namespace A { action \"x\"; }",
            "namespace A { action \"x\" in [\"y\"] appliesTo { principal: [A::B], resource: [A::B], context: {} }; }",
            "namespace A { entity B = { a: __cedar::Long }; }",
            "namespace A { entity B in []; }",
        ] {
            assert!(schema(text).is_none(), "{text}");
        }
    }

    #[test]
    fn no_token_lost_or_doubled_is_read_otherwise_than_by_cedar() {
        let text = "namespace A { entity B in [C] = { \"a\"?: Long, b: A::C, }; entity C; \
                    action \"x\", \"y\" appliesTo { principal: [B], resource: [A::C, B], context: { now: datetime } }; }";
        let words: Vec<&str> = tokens(text).map(|at| &text[at]).collect();
        let tight = |words: &[&str]| words.join(" ").replace(" : : ", "::");
        let mut read = 0;
        for at in 0..words.len() {
            for other in ["", ",", ":", ";", "}", "{", "]", "?", "in", "entity", "A", "Long", "\"a\"", "::"] {
                let mut changed = words.clone();
                changed[at] = other;
                let mut doubled = words.clone();
                doubled.insert(at, other);
                for text in [tight(&changed), tight(&doubled)] {
                    if let Some(ours) = fragment(&text) {
                        read += 1;
                        assert_eq!(Some(ours), cedars(&text), "{text}");
                    }
                }
            }
        }
        assert!(read > 50, "{read}");
    }
}
