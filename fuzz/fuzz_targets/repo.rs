//! The repo that `slm init` writes, with one file replaced or added.

use slm::load::{Files, load};
use slm::model::diagnostic::Severity;
use slm::policy::Rules;

const FILES: [(&str, &str); 8] = [
    ("slm.toml", include_str!("../../src/cli/starter/slm.toml")),
    ("controls/rot/ROT-01.toml", include_str!("../../src/cli/starter/ROT-01.toml")),
    ("controls/rot/ROT-02.toml", include_str!("../../src/cli/starter/ROT-02.toml")),
    ("controls/frameworks/soc2.toml", include_str!("../../src/cli/starter/soc2.toml")),
    ("credentials/session-key.toml", include_str!("../../src/cli/starter/session-key.toml")),
    ("policies/guards.cedar", include_str!("../../src/cli/starter/guards.cedar")),
    ("policies/rot.cedar", include_str!("../../src/cli/starter/rot.cedar")),
    ("policies/schema.cedarschema", include_str!("../../src/cli/starter/schema.cedarschema")),
];

/// Files a fuzzer may replace; the exception is new.
#[allow(dead_code, reason = "each target is its own crate and uses one part of this file")]
pub const TOML: [&str; 5] =
    ["slm.toml", "controls/rot/ROT-01.toml", "controls/frameworks/soc2.toml", "credentials/session-key.toml", "exceptions/x.toml"];

/// Loads the repo with `text` at `path`; what loads must compile, and what does not must say why.
pub fn load_with(path: &str, text: &str) {
    let mut files: Files = Files(FILES.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect());
    files.0.insert(path.to_owned(), text.to_owned());
    let loaded = load(&files, jiff::Timestamp::UNIX_EPOCH);
    let errors = loaded.diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    assert_eq!(loaded.catalog.is_none(), errors > 0, "a catalog and errors, or neither");
    if let Some(catalog) = loaded.catalog {
        assert!(Rules::compile(&catalog).is_ok(), "what was checked must compile");
    }
}
