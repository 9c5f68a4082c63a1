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
}

impl Exit {
    /// Every way, from the mildest to the gravest.
    pub const ALL: [Self; 8] =
        [Self::Clean, Self::Changes, Self::Incomplete, Self::Held, Self::Partly, Self::Invalid, Self::Failed, Self::Integrity];

    /// The process exit code. Bad usage is 64, from the argument parser.
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
        }
    }
}

/// Exit code of bad usage, as in `sysexits.h`.
pub const USAGE: u8 = 64;
