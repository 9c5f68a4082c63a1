//! The shapes of credentials that are explored: all that can be declared, see [`super::declared`].

use crate::model::rotator::{IamAccessKey, Keyset, MysqlAccount};
use crate::world::{Capabilities, Issuer, Overlap};

/// An access key: issued by the server, two at once.
pub const SERVER: Capabilities = IamAccessKey::CAPABILITIES;
/// As [`SERVER`], and what was issued can be read again.
pub const REREAD: Capabilities = Capabilities { reread: true, ..SERVER };
/// A key of a vendor that cannot disable it: what is superseded is deleted at once.
pub const SERVER_NO_PAUSE: Capabilities = Capabilities { disable: false, ..SERVER };
/// As [`SERVER_NO_PAUSE`], and what was issued can be read again.
pub const REREAD_NO_PAUSE: Capabilities = Capabilities { disable: false, ..REREAD };
/// A key pair of ours, let in beside the old one.
pub const CLIENT: Capabilities = Capabilities { issuer: Issuer::Client, ..SERVER };
/// A deploy key: cannot be disabled, only deleted.
pub const DELETE_ONLY: Capabilities = Capabilities { disable: false, ..CLIENT };
/// A login that a program switches off and never drops.
pub const DISABLE_ONLY: Capabilities = Capabilities { delete: false, ..CLIENT };
/// A password replaced in place.
pub const SINGLE: Capabilities = Capabilities::IN_PLACE;
/// Two logins of a database, of which each gets every other value.
pub const IN_TURN: Capabilities = Capabilities::IN_TURN;
/// Two passwords of one login.
pub const TWO_PASSWORDS: Capabilities = MysqlAccount::DUAL;
/// A set of keys: each value is made from the one before, and nobody validates it.
pub const STAGED: Capabilities = Keyset::CAPABILITIES;
/// Nobody validates it.
pub const UNVALIDATED: Capabilities = Capabilities::UNVALIDATED;

/// Every one of them.
pub const SHAPES: [(&str, Capabilities); 12] = [
    ("server-issued", SERVER),
    ("server-issued, never disabled", SERVER_NO_PAUSE),
    ("re-readable", REREAD),
    ("re-readable, never disabled", REREAD_NO_PAUSE),
    ("client-chosen", CLIENT),
    ("delete only", DELETE_ONLY),
    ("disable only", DISABLE_ONLY),
    ("logins in turn", IN_TURN),
    ("two passwords", TWO_PASSWORDS),
    ("in place", SINGLE),
    ("of several values", STAGED),
    ("unvalidated", UNVALIDATED),
];

/// The same with room for two, as it is explored; some searches give a third, see [`super::roomy`].
pub fn with_two(capabilities: Capabilities) -> Capabilities {
    match capabilities.overlap {
        Overlap::Dual { .. } => Capabilities { overlap: Overlap::Dual { max: 2 }, ..capabilities },
        _ => capabilities,
    }
}
