//! How requests are forwarded, checked.

/// What becomes of a forwarding header that the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// Not sent; what the client sent is removed.
    Off,
    /// The client's address is added to what it sent.
    Append,
    /// What the client sent is replaced.
    Replace,
}

#[derive(Clone, Debug)]
pub struct ProxyParams {
    /// x-forwarded-for, -proto, -host.
    pub x_forwarded: Forwarding,
    /// Forwarded (RFC 7239).
    pub forwarded: Forwarding,
    /// Keep a client's x-request-id instead of making one.
    pub trust_request_id: bool,
    /// Header that carries the verified client certificate's identity; removed from
    /// what clients send.
    pub identity_header: Option<http::HeaderName>,
}
