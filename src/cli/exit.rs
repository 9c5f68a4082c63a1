//! How a verb ended. The numbers are a promise; see the README.

use serde::Serialize;

/// One way a verb can end. Where several hold, the gravest wins; JSON output carries all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// Nothing to say.
    Clean,
    /// Changes or findings are present.
    Changes,
    /// Something in scope could not be seen.
    Incomplete,
    /// Something due is held by policy or for approval.
    Held,
    /// Partly applied; resume will go on.
    Partly,
    /// The config repo is invalid.
    Invalid,
    /// slm could not do what was asked.
    Failed,
    /// The evidence is broken.
    Integrity,
    /// The arguments are not understood; nothing was begun.
    Usage,
}

impl Exit {
    /// Every way, from the mildest to the gravest.
    pub const ALL: [Self; 9] = [
        Self::Clean,
        Self::Changes,
        Self::Incomplete,
        Self::Held,
        Self::Partly,
        Self::Invalid,
        Self::Failed,
        Self::Integrity,
        Self::Usage,
    ];

    /// The process exit code; bad usage has that of `sysexits.h`.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Failed => 1,
            Self::Changes => 2,
            Self::Incomplete => 3,
            Self::Invalid => 4,
            Self::Held => 5,
            Self::Partly => 6,
            Self::Integrity => 7,
            Self::Usage => 64,
        }
    }

    /// What it means, as the help and the README say it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Failed => "failed: slm could not do what was asked",
            Self::Changes => "changes or findings are present",
            Self::Incomplete => "incomplete: something in scope could not be seen",
            Self::Invalid => "the config repo is invalid",
            Self::Held => "held: something due is held by policy or waits for approval",
            Self::Partly => "partly applied: resume will go on",
            Self::Integrity => "integrity: the evidence is broken",
            Self::Usage => "usage",
        }
    }

    /// Every way in the order of the codes.
    #[must_use]
    pub fn by_code() -> Vec<Self> {
        let mut all = Self::ALL.to_vec();
        all.sort_by_key(|exit| exit.code());
        all
    }
}

/// What `slm --help` says about them.
pub(super) fn help() -> String {
    let lines: String = Exit::by_code().iter().map(|exit| format!("  {:>2}  {}\n", exit.code(), exit.meaning())).collect();
    format!("Exit codes, of which the gravest wins:\n{lines}")
}
