//! What the attribute's expansion needs. Not part of the interface for plugin authors.

use crate::{Call, Error, Outcome};

/// Bindings generated from `wit/`.
#[allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    unused_qualifications,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods
)]
pub mod bindings {
    wit_bindgen::generate!({
        world: "jackfield:ivr/ivr",
        path: ["../../wit/types", "../../wit/host", "../../wit/ivr"],
        generate_all,
        additional_derives: [PartialEq],
        export_macro_name: "export_ivr",
        pub_export_macro: true,
    });
}

pub use bindings::export_ivr;
pub use bindings::exports::jackfield::ivr::flow::Guest;
pub use bindings::jackfield::ivr::calls::Call as RawCall;

/// Wraps the host's handle.
pub fn call(raw: RawCall) -> Call {
    Call::new(raw)
}

/// The bytes of a manifest, for a static in a custom section: a section holds no pointers.
pub const fn section<const N: usize>(text: &str) -> [u8; N] {
    assert!(text.len() == N, "the section is as long as its text");
    let mut bytes = [0; N];
    let mut i = 0;
    while i < N {
        bytes[i] = text.as_bytes()[i];
        i += 1;
    }
    bytes
}

/// What a flow function may return.
pub trait IntoFlowResult {
    /// As the host wants it.
    fn into_flow_result(self) -> Result<Outcome, Error>;
}

impl IntoFlowResult for () {
    fn into_flow_result(self) -> Result<Outcome, Error> {
        Ok(Outcome::from(self))
    }
}

impl IntoFlowResult for Outcome {
    fn into_flow_result(self) -> Result<Outcome, Error> {
        Ok(self)
    }
}

impl<T: Into<Outcome>, E: Into<Error>> IntoFlowResult for Result<T, E> {
    fn into_flow_result(self) -> Result<Outcome, Error> {
        self.map(Into::into).map_err(Into::into)
    }
}
