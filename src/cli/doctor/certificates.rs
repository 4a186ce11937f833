//! The configured certificates: what accelerators make of their keys, and their age.

use openssl::asn1::Asn1Time;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKeyRef, Private};

use super::report::{Accelerable, Certificate};
use crate::accelerator::Algorithm;
use crate::config::GatewayParams;
use crate::tls;

/// Of all listeners, in the configuration's order.
pub fn certificates(params: &GatewayParams) -> Vec<Certificate> {
    let offload = params.acceleration.offload.as_deref();
    let offload = offload.unwrap_or(&Algorithm::ALL);
    let listeners = params.listeners.iter();
    let with_tls = listeners.filter_map(|one| Some((&one.name, one.tls.as_ref()?)));
    with_tls
        .flat_map(|(name, tls)| tls.certificates.iter().map(move |one| (name, one)))
        .map(|(listener, certificate)| report(listener, certificate, offload))
        .collect()
}

fn report(listener: &str, certificate: &tls::Certificate, offload: &[Algorithm]) -> Certificate {
    let (accelerable, why) = judge(&certificate.key, offload);
    Certificate {
        listener: listener.to_owned(),
        names: certificate.names.clone(),
        key: describe(&certificate.key),
        accelerable,
        why,
        expires_in_days: days_left(certificate),
    }
}

/// What qatengine, qatprovider and libcrypto_mb all take. The key exchange (X25519) is accelerated
/// whatever the certificate's key. What acceleration.offload leaves out is told by it.
fn judge(key: &PKeyRef<Private>, offload: &[Algorithm]) -> (Accelerable, &'static str) {
    let exchange = offload.contains(&Algorithm::X25519);
    let ecdsa = offload.contains(&Algorithm::Ecdsa);
    let signs = matches!(curve(key), Some(Nid::X9_62_PRIME256V1 | Nid::SECP384R1));
    match (key.id(), key.bits()) {
        (Id::RSA, 2048 | 3072 | 4096) => match (offload.contains(&Algorithm::Rsa), exchange) {
            (true, true) => {
                let why = "signature and key exchange (X25519), by every accelerator";
                (Accelerable::Yes, why)
            }
            (true, false) => {
                let why =
                    "the signature; the key exchange (X25519) is masked by acceleration.offload";
                (Accelerable::Partly, why)
            }
            (false, _) => {
                let why = "the key exchange (X25519); rsa is masked by acceleration.offload";
                (Accelerable::No, why)
            }
        },
        (Id::EC, _) if signs && ecdsa && exchange => {
            let why = "the key exchange (X25519); the signature by qat_engine and qat_provider \
                       alone, and by auto only where that is quicker than software";
            (Accelerable::Partly, why)
        }
        (Id::EC, _) if signs && ecdsa => {
            let why = "the signature, by qat_engine and qat_provider; the key exchange (X25519) is \
                       masked by acceleration.offload";
            (Accelerable::Partly, why)
        }
        _ if !exchange => {
            let why = "not the signature, and x25519 is masked by acceleration.offload";
            (Accelerable::No, why)
        }
        (Id::RSA, _) => {
            let why = "the key exchange only: accelerators take RSA of 2048, 3072 and 4096 bits";
            (Accelerable::No, why)
        }
        (Id::EC, _) if signs => {
            let why = "the key exchange (X25519); ecdsa is masked by acceleration.offload";
            (Accelerable::No, why)
        }
        _ => {
            let why = "the key exchange only: no accelerator signs with this type of key";
            (Accelerable::No, why)
        }
    }
}

/// Of an EC key.
fn curve(key: &PKeyRef<Private>) -> Option<Nid> {
    key.ec_key().ok()?.group().curve_name()
}

fn describe(key: &PKeyRef<Private>) -> String {
    match key.id() {
        Id::RSA => format!("RSA {}", key.bits()),
        Id::RSA_PSS => format!("RSA-PSS {}", key.bits()),
        Id::EC => match curve(key) {
            Some(Nid::X9_62_PRIME256V1) => "ECDSA P-256".to_owned(),
            Some(Nid::SECP384R1) => "ECDSA P-384".to_owned(),
            Some(Nid::SECP521R1) => "ECDSA P-521".to_owned(),
            _ => format!("ECDSA of {} bits", key.bits()),
        },
        Id::ED25519 => "Ed25519".to_owned(),
        Id::ED448 => "Ed448".to_owned(),
        other => format!("type {}", other.as_raw()),
    }
}

fn days_left(certificate: &tls::Certificate) -> i32 {
    let now = Asn1Time::days_from_now(0);
    let left = now.and_then(|now| now.diff(certificate.leaf.not_after()));
    // Fails for dates alone that no certificate has.
    left.map_or(0, |left| left.days)
}

#[cfg(test)]
mod tests {
    use openssl::ec::{EcGroup, EcKey};
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;

    use super::*;

    fn told(key: &PKeyRef<Private>) -> (String, Accelerable) {
        (describe(key), judge(key, &Algorithm::ALL).0)
    }

    #[test]
    fn keys_are_judged_by_type_and_size() {
        let rsa = |bits| {
            let key = PKey::from_rsa(Rsa::generate(bits).expect("a key")).expect("a key");
            told(&key)
        };
        assert_eq!(rsa(2048), ("RSA 2048".to_owned(), Accelerable::Yes));
        let rsa_key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
        let (accelerable, why) = judge(&rsa_key, &[Algorithm::X25519]);
        assert_eq!(accelerable, Accelerable::No);
        assert!(why.contains("rsa is masked by acceleration.offload"));
        let (accelerable, why) = judge(&rsa_key, &[Algorithm::Rsa]);
        assert_eq!(accelerable, Accelerable::Partly);
        assert!(why.contains("X25519) is masked by acceleration.offload"));
        assert_eq!(rsa(2560), ("RSA 2560".to_owned(), Accelerable::No));
        let ec = |curve| {
            let group = EcGroup::from_curve_name(curve).expect("a curve");
            let key = EcKey::generate(&group).expect("a key");
            PKey::from_ec_key(key).expect("a key")
        };
        let p384 = ec(Nid::SECP384R1);
        assert_eq!(told(&p384), ("ECDSA P-384".to_owned(), Accelerable::Partly));
        let (accelerable, why) = judge(&p384, &[Algorithm::X25519]);
        assert_eq!(accelerable, Accelerable::No);
        assert!(why.contains("ecdsa is masked by acceleration.offload"));
        let (accelerable, why) = judge(&p384, &[Algorithm::Ecdsa]);
        assert_eq!(accelerable, Accelerable::Partly);
        assert!(why.contains("X25519) is masked by acceleration.offload"));
        let p521 = told(&ec(Nid::SECP521R1));
        assert_eq!(p521, ("ECDSA P-521".to_owned(), Accelerable::No));
        let key = PKey::generate_ed25519().expect("a key");
        assert_eq!(told(&key), ("Ed25519".to_owned(), Accelerable::No));
    }
}
