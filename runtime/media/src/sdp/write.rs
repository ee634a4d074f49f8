//! Writing.

use crate::sdp::Description;

pub(super) fn description(session: &Description) -> String {
    session.name.clone()
}
