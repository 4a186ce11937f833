//! Which certificates are served for which name.

use std::collections::{BTreeMap, HashMap};

use super::params::Certificate;

/// The longest name in DNS (RFC 1035 2.3.4).
const LONGEST: usize = 255;

/// Certificates of one SSL_CTX by their place in the list, the first of each key type.
pub(super) type Set = Vec<usize>;

/// From a host name to what is served for it, by exact name, then by wildcard.
pub(super) struct Names<T> {
    exact: HashMap<Box<[u8]>, T>,
    /// By what follows the asterisk, with its dot.
    wildcard: HashMap<Box<[u8]>, T>,
}

impl<T: Copy> Names<T> {
    /// Looks the name up, in any case, without allocating.
    pub(super) fn find(&self, name: &[u8]) -> Option<T> {
        let mut lower = [0; LONGEST];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        // A fully qualified name may be written with its root's dot.
        let lower = lower.strip_suffix(b".").unwrap_or(lower);
        if let Some(found) = self.exact.get(lower) {
            return Some(*found);
        }
        let dot = lower.iter().position(|byte| *byte == b'.')?;
        self.wildcard.get(&lower[dot..]).copied()
    }
}

/// Every name with its certificates. Of two that serve one name with one type of key
/// the first is taken; a certificate named exactly goes before a wildcard's, which
/// still serves the clients that cannot verify the other's type of key.
pub(super) fn sets(certificates: &[Certificate]) -> BTreeMap<&str, Set> {
    let mut sets = BTreeMap::new();
    for name in certificates
        .iter()
        .flat_map(|certificate| &certificate.names)
    {
        sets.entry(name.as_str()).or_insert_with(|| {
            let mut set = Set::new();
            add_those_of(name, certificates, &mut set);
            if let Some(wildcard) = wildcard_of(name) {
                add_those_of(&wildcard, certificates, &mut set);
            }
            set
        });
    }
    sets
}

fn add_those_of(name: &str, certificates: &[Certificate], set: &mut Set) {
    for (index, certificate) in certificates.iter().enumerate() {
        let kind = certificate.key.id();
        if certificate.names.iter().any(|other| other == name)
            && set
                .iter()
                .all(|member| certificates[*member].key.id() != kind)
        {
            set.push(index);
        }
    }
}

fn wildcard_of(name: &str) -> Option<String> {
    let (first, rest) = name.split_once('.')?;
    (first != "*").then(|| format!("*.{rest}"))
}

/// What is served when no name matches: the first certificate, and those that stand
/// beside it for its first name.
pub(super) fn default_set(certificates: &[Certificate], sets: &BTreeMap<&str, Set>) -> Set {
    let name = certificates.first().and_then(|first| first.names.first());
    match name.and_then(|name| sets.get(name.as_str())) {
        // A certificate earlier in the list cannot have taken its place: it is the first.
        Some(set) if set.contains(&0) => set.clone(),
        _ => vec![0],
    }
}

/// The table of names, each with what `resolve` makes of its set.
pub(super) fn table<T>(sets: &BTreeMap<&str, Set>, resolve: impl Fn(&Set) -> T) -> Names<T> {
    let mut names = Names {
        exact: HashMap::new(),
        wildcard: HashMap::new(),
    };
    for (name, set) in sets {
        match name.strip_prefix('*') {
            Some(suffix) => names
                .wildcard
                .insert(suffix.as_bytes().into(), resolve(set)),
            None => names.exact.insert(name.as_bytes().into(), resolve(set)),
        };
    }
    names
}
