//! From parameters to SSL contexts.
//!
//! One SSL_CTX for each set of certificates that serve the same names; in it stands one
//! certificate of each key type, and OpenSSL chooses among them by the client's
//! signature algorithms. Every handshake starts in the default context, which owns the
//! table of names; its SNI callback switches to another. The callbacks run on an async
//! job's small stack and neither allocate nor wait.

use openssl::error::ErrorStack;
use openssl::hash::{Hasher, MessageDigest};
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    AlpnError, NameType, SniError, SslAlert, SslContext, SslContextBuilder, SslMethod, SslMode,
    SslOptions, SslRef, SslSessionCacheMode, SslVerifyMode, SslVersion, select_next_proto,
};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use qat_sys::offload::Offload;
use zeroize::Zeroizing;

use super::error::{TlsError, TlsField};
use super::names::{self, Names};
use super::params::{Alpn, Certificate, ClientAuth, TlsParams, TlsVersion};
use super::tickets::TicketKeys;

/// Room for two records and more, so that a read of the socket usually empties it.
const READ_BUFFER: usize = 34 * 1024;

/// Which context serves a name.
#[derive(Clone, Copy)]
enum Served {
    Default,
    Other(usize),
}

/// Where contexts, keys and certificates are made.
pub(super) enum Maker {
    /// In OpenSSL's default library context.
    Default,
    /// In the worker's own, or its accelerator's.
    Own(Offload),
}

impl Maker {
    /// In the calling worker's own library context; not where OpenSSL is configured for FIPS
    /// 140, which the default one alone is.
    pub(super) fn software() -> Result<Maker, TlsError> {
        match qat_sys::offload::fips() {
            true => Ok(Maker::Default),
            false => Offload::software()
                .map(Maker::Own)
                .map_err(|stack| TlsError::openssl(TlsField::Library, &stack)),
        }
    }

    fn context(&self) -> Result<SslContextBuilder, ErrorStack> {
        match self {
            Maker::Default => SslContextBuilder::new(SslMethod::tls_server()),
            Maker::Own(library) => library.server_context(),
        }
    }

    fn certificate(&self, certificate: &X509) -> Result<X509, ErrorStack> {
        let der = certificate.to_der()?;
        match self {
            Maker::Default => X509::from_der(&der),
            Maker::Own(library) => library.certificate(&der),
        }
    }

    fn key(&self, key: &PKey<Private>) -> Result<PKey<Private>, ErrorStack> {
        let der = Zeroizing::new(key.private_key_to_pkcs8()?);
        match self {
            Maker::Default => PKey::private_key_from_pkcs8(&der),
            Maker::Own(library) => library.private_key(&der),
        }
    }
}

/// Validates the parameters as far as OpenSSL can tell.
pub fn check(params: &TlsParams) -> Result<(), TlsError> {
    build(params, &TicketKeys::generate()?, &Maker::software()?).map(drop)
}

/// Whether this OpenSSL knows the key-exchange group (`SSL_CTX_set1_groups_list(3)`).
pub fn supported_group(name: &str) -> bool {
    takes_groups(&[name])
}

/// Whether a server here can be told to exchange keys with these groups: OpenSSL's, and what
/// the gateway has by itself.
pub fn serves_groups(names: &[&str]) -> bool {
    let own = qat_sys::offload::own_groups();
    let theirs = names.iter().filter(|name| !own.contains(name));
    let theirs: Vec<&str> = theirs.copied().collect();
    theirs.is_empty() || takes_groups(&theirs)
}

fn takes_groups(names: &[&str]) -> bool {
    // The list's syntax has more characters than names have.
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_name = |name: &&str| !name.is_empty() && name.chars().all(plain);
    names.iter().all(is_name)
        && SslContextBuilder::new(SslMethod::tls_server())
            .is_ok_and(|mut context| context.set_groups_list(&names.join(":")).is_ok())
}

/// The default context; the others belong to its table of names.
pub(super) fn build(
    params: &TlsParams,
    keys: &TicketKeys,
    maker: &Maker,
) -> Result<SslContext, TlsError> {
    if params.certificates.is_empty() {
        return Err(TlsError::new(TlsField::Certificate(0), "there is none"));
    }
    check_keys(&params.certificates)?;
    let params = &own_copy(params, maker);
    let sets = names::sets(&params.certificates);
    let default_set = names::default_set(&params.certificates, &sets);
    let mut distinct: Vec<&names::Set> = sets.values().filter(|set| **set != default_set).collect();
    distinct.sort();
    distinct.dedup();
    let mut others = Vec::with_capacity(distinct.len());
    for set in &distinct {
        others.push(context(params, set, keys, maker)?.build());
    }
    let names = names::table(&sets, |set| match distinct.binary_search(&set) {
        Ok(index) => Served::Other(index),
        Err(_) => Served::Default,
    });
    let mut default = context(params, &default_set, keys, maker)?;
    set_server_names(&mut default, names, others, params.strict_sni);
    Ok(default.build())
}

/// Keys and certificates are locked and counted in use, and a private key has one lock
/// for its blinding: workers would wait for each other on a shared one. What cannot be
/// exported, for instance a key in hardware, stays shared.
fn own_copy(params: &TlsParams, maker: &Maker) -> TlsParams {
    let copy = |cert: &X509| maker.certificate(cert).unwrap_or_else(|_| cert.clone());
    let mut params = params.clone();
    for certificate in &mut params.certificates {
        certificate.leaf = copy(&certificate.leaf);
        certificate.intermediates = certificate.intermediates.iter().map(copy).collect();
        if let Ok(key) = maker.key(&certificate.key) {
            certificate.key = key;
        }
    }
    if let ClientAuth::Optional(ca) | ClientAuth::Required(ca) = &mut params.client_auth {
        ca.roots = ca.roots.iter().map(copy).collect();
    }
    params
}

fn check_keys(certificates: &[Certificate]) -> Result<(), TlsError> {
    for (index, certificate) in certificates.iter().enumerate() {
        let public = certificate
            .leaf
            .public_key()
            .map_err(|stack| TlsError::openssl(TlsField::Certificate(index), &stack))?;
        if !public.public_eq(&certificate.key) {
            let reason = "the private key is not that of the certificate";
            return Err(TlsError::new(TlsField::PrivateKey(index), reason));
        }
    }
    Ok(())
}

fn context(
    params: &TlsParams,
    set: &names::Set,
    keys: &TicketKeys,
    maker: &Maker,
) -> Result<SslContextBuilder, TlsError> {
    let library = |stack: ErrorStack| TlsError::openssl(TlsField::Library, &stack);
    let mut context = maker.context().map_err(library)?;
    context.set_mode(
        // An idle connection owns no buffer.
        SslMode::RELEASE_BUFFERS
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER
            // Or OpenSSL searches for intermediates in every handshake.
            | SslMode::NO_AUTO_CHAIN,
    );
    context.set_read_ahead(true);
    qat_sys::context::set_read_buffer_len(&mut context, READ_BUFFER);
    let mut options = SslOptions::NO_RENEGOTIATION | SslOptions::NO_COMPRESSION;
    if !params.prefer_client_ciphers {
        options |= SslOptions::CIPHER_SERVER_PREFERENCE;
    }
    context.set_options(options);
    set_protocol(&mut context, params)?;
    for index in set {
        let Certificate {
            leaf,
            intermediates,
            key,
            ..
        } = &params.certificates[*index];
        qat_sys::context::use_cert_and_key(&mut context, leaf, key, intermediates)
            .map_err(|stack| TlsError::openssl(TlsField::Certificate(*index), &stack))?;
    }
    set_sessions(&mut context, params, keys)?;
    set_client_auth(&mut context, &params.client_auth)?;
    set_alpn(&mut context, &params.alpn);
    Ok(context)
}

fn set_protocol(context: &mut SslContextBuilder, params: &TlsParams) -> Result<(), TlsError> {
    let failed = |field| move |stack: ErrorStack| TlsError::openssl(field, &stack);
    if params.minimum_version > params.maximum_version {
        let reason = "is above maximum_version";
        return Err(TlsError::new(TlsField::MinimumVersion, reason));
    }
    context
        .set_min_proto_version(Some(version(params.minimum_version)))
        .map_err(failed(TlsField::MinimumVersion))?;
    context
        .set_max_proto_version(Some(version(params.maximum_version)))
        .map_err(failed(TlsField::MaximumVersion))?;
    if let Some(list) = &params.cipher_list {
        context
            .set_cipher_list(list)
            .map_err(failed(TlsField::CipherList))?;
    }
    if let Some(suites) = &params.cipher_suites {
        context
            .set_ciphersuites(suites)
            .map_err(failed(TlsField::CipherSuites))?;
    }
    if let Some(index) = params
        .groups
        .iter()
        .position(|name| !serves_groups(&[name]))
    {
        let reason = format!("this OpenSSL has no group {:?}", params.groups[index]);
        return Err(TlsError::new(TlsField::Group(index), reason));
    }
    if !params.groups.is_empty() {
        // Each is known: only a repetition is left to be refused.
        context
            .set_groups_list(&params.groups.join(":"))
            .map_err(failed(TlsField::Group(0)))?;
    }
    Ok(())
}

fn version(version: TlsVersion) -> SslVersion {
    match version {
        TlsVersion::Tls12 => SslVersion::TLS1_2,
        TlsVersion::Tls13 => SslVersion::TLS1_3,
    }
}

/// Resumption by tickets alone: the state is the client's, and any worker can resume it.
fn set_sessions(
    context: &mut SslContextBuilder,
    params: &TlsParams,
    keys: &TicketKeys,
) -> Result<(), TlsError> {
    let failed = |stack: ErrorStack| TlsError::openssl(TlsField::SessionTickets, &stack);
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    if params.session_tickets == 0 {
        context.set_options(SslOptions::NO_TICKET);
    }
    context
        .set_num_tickets(params.session_tickets as usize)
        .map_err(failed)?;
    let keys = params.ticket_keys.as_ref().unwrap_or(keys);
    qat_sys::tickets::set_ticket_keys(context, keys.as_slice()).map_err(failed)?;
    qat_sys::context::set_session_lifetime(context, params.session_lifetime);
    // A client that one listener has not asked for a certificate must not get past
    // another, which asks, by resuming its session there.
    let id = session_context(&params.client_auth).map_err(failed)?;
    context.set_session_id_context(&id).map_err(failed)
}

fn session_context(auth: &ClientAuth) -> Result<[u8; 32], ErrorStack> {
    let mut hasher = Hasher::new(MessageDigest::sha256())?;
    let (mode, ca) = match auth {
        ClientAuth::Off => (0u8, None),
        ClientAuth::Optional(ca) => (1, Some(ca)),
        ClientAuth::Required(ca) => (2, Some(ca)),
    };
    hasher.update(&[mode])?;
    if let Some(ca) = ca {
        hasher.update(&ca.depth.to_be_bytes())?;
        for root in &ca.roots {
            hasher.update(&root.digest(MessageDigest::sha256())?)?;
        }
    }
    let digest = hasher.finish()?;
    Ok(std::array::from_fn(|i| digest.get(i).copied().unwrap_or(0)))
}

fn set_client_auth(context: &mut SslContextBuilder, auth: &ClientAuth) -> Result<(), TlsError> {
    let (mode, ca) = match auth {
        ClientAuth::Off => {
            context.set_verify(SslVerifyMode::NONE);
            return Ok(());
        }
        ClientAuth::Optional(ca) => (SslVerifyMode::PEER, ca),
        ClientAuth::Required(ca) => (
            SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
            ca,
        ),
    };
    if ca.roots.is_empty() {
        let reason = "there is no authority to verify client certificates against";
        return Err(TlsError::new(TlsField::ClientAuth, reason));
    }
    context.set_verify_depth(ca.depth);
    context.set_verify(mode);
    set_authorities(context, &ca.roots)
        .map_err(|stack| TlsError::openssl(TlsField::ClientAuth, &stack))
}

fn set_authorities(context: &mut SslContextBuilder, roots: &[X509]) -> Result<(), ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    // Whoever is listed is trusted, also an intermediate without its root.
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    for root in roots {
        store.add_cert(root.clone())?;
        context.add_client_ca(root)?;
    }
    context.set_verify_cert_store(store.build())
}

fn set_alpn(context: &mut SslContextBuilder, alpn: &[Alpn]) {
    // Static, because what the callback returns must outlive its call.
    let ours: &'static [u8] = match alpn {
        [] => return,
        [Alpn::H2, rest @ ..] if rest.contains(&Alpn::Http11) => b"\x02h2\x08http/1.1",
        [Alpn::H2, ..] => b"\x02h2",
        [Alpn::Http11, rest @ ..] if rest.contains(&Alpn::H2) => b"\x08http/1.1\x02h2",
        [Alpn::Http11, ..] => b"\x08http/1.1",
    };
    // Not called if the client offers nothing. No overlap is fatal (RFC 7301 3.2).
    context.set_alpn_select_callback(move |_, theirs| {
        select_next_proto(ours, theirs).ok_or(AlpnError::ALERT_FATAL)
    });
}

fn set_server_names(
    default: &mut SslContextBuilder,
    names: Names<Served>,
    others: Vec<SslContext>,
    strict: bool,
) {
    default.set_servername_callback(move |ssl: &mut SslRef, alert: &mut SslAlert| {
        #[cfg(test)]
        super::tests::pause::run_hook();
        let name = ssl.servername_raw(NameType::HOST_NAME);
        match name.and_then(|name| names.find(name)) {
            Some(Served::Default) => Ok(()),
            Some(Served::Other(index)) => ssl
                .set_ssl_context(&others[index])
                .map_err(|_| SniError::ALERT_FATAL),
            None if strict => {
                *alert = SslAlert::UNRECOGNIZED_NAME;
                Err(SniError::ALERT_FATAL)
            }
            // Not acknowledged, and not alerted either: RFC 6066 section 3 advises
            // against the warning.
            None => Err(SniError::NOACK),
        }
    });
}
