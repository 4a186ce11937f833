//! What backends are told about the client.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What backends are told about the client.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Forwarding {
    /// `x-forwarded-for`, `-proto` and `-host`: what the client sent is replaced
    /// (`replace`), added to (`append`, behind a proxy of your own), or removed (`off`).
    #[serde(default = "ForwardingMode::replace")]
    pub(in crate::config) x_forwarded: ForwardingMode,
    /// The same for `forwarded` (RFC 7239).
    #[serde(default)]
    pub(in crate::config) forwarded: ForwardingMode,
    /// Keep a client's `x-request-id` instead of making a new one.
    #[serde(default)]
    pub(in crate::config) trust_request_id: bool,
    /// The header that carries the subject of the client's verified certificate, or
    /// `off`. What clients send under this name is always removed, also with `_` in place
    /// of `-`.
    #[serde(default = "identity_header")]
    #[schemars(example = &"x-client-identity", example = &"off")]
    pub(in crate::config) identity_header: String,
}

fn identity_header() -> String {
    "x-client-identity".to_owned()
}

impl Default for Forwarding {
    fn default() -> Self {
        Forwarding {
            x_forwarded: ForwardingMode::Replace,
            forwarded: ForwardingMode::Off,
            trust_request_id: false,
            identity_header: identity_header(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum ForwardingMode {
    #[default]
    Off,
    Append,
    Replace,
}

impl ForwardingMode {
    fn replace() -> Self {
        ForwardingMode::Replace
    }
}
