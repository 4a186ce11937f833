//! What TLS gets by way of the lanes is what OpenSSL's own provider gives, or takes as right.
//!
//! With some hundred random keys and messages, or as many as `QAT_GATEWAY_TEST_AGREEMENT`
//! says.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use openssl::bn::{BigNum, BigNumContext, BigNumContextRef, BigNumRef};
use openssl::derive::Deriver;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};
use qat_sys::lanes::{Batch, Cost, LANES, Limits, Multibuffer, Table};
use qat_sys::offload::{Algorithm, Offload, Path};
use qat_sys::{Step, Task};

use crate::crypto_mb::{agreements, library};
use crate::evp::{derive, sign, x25519_generate};

/// Jobs at a time: full batches, and one that is not.
const TOGETHER: usize = 3 * LANES - 2;

struct Lanes {
    offload: Offload,
    batch: Batch,
}

/// All operations of jobs on this thread, one alone as well. None where there are no lanes.
fn lanes() -> Option<Lanes> {
    let always = Table::new(|_| Cost::new(100.0, [1.0; LANES]));
    let batch = Batch::new(library()?, always, Limits::default());
    let offload = Offload::new(Arc::new(Multibuffer), &Algorithm::ALL).unwrap();
    Some(Lanes { offload, batch })
}

impl Lanes {
    /// What each of `works` gives, in a job, all at once.
    fn at_once<T, W>(&self, works: impl Iterator<Item = W>) -> Vec<T>
    where
        T: 'static,
        W: FnOnce(&Offload) -> T + 'static,
    {
        let start = |work: W| {
            let (offload, result) = (self.offload.clone(), Rc::new(Cell::new(None)));
            let place = result.clone();
            let task = Task::new(move || place.set(Some(work(&offload))));
            (task.unwrap(), result)
        };
        let (mut tasks, results): (Vec<Task>, Vec<_>) = works.map(start).unzip();
        while !tasks.is_empty() {
            tasks.retain_mut(|task| !matches!(task.step(), Step::Done));
            self.batch.run_all();
        }
        let results = results.into_iter();
        results
            .map(|result| result.take().expect("no panic"))
            .collect()
    }

    fn counts(&self, algorithm: Algorithm) -> [u64; 3] {
        Path::ALL.map(|path| self.offload.counters().get(algorithm, path))
    }
}

/// RSA keys of random primes, every two of which make one: all the keys one could wish for,
/// in the time it takes to find a few primes.
struct Primes(Vec<BigNum>);

impl Primes {
    fn new(bits: i32, keys: usize) -> Primes {
        // n * (n - 1) / 2 pairs.
        let count = (1..).find(|n: &usize| n * (n - 1) / 2 >= keys).unwrap();
        let prime = |_| {
            let mut prime = BigNum::new().unwrap();
            // With its two highest bits set, so that products have all of theirs.
            prime.generate_prime(bits, false, None, None).unwrap();
            prime
        };
        Primes((0..count).map(prime).collect())
    }

    /// The greater first and the lesser first, in turns, as OpenSSL makes none but others do.
    fn pairs(&self) -> impl Iterator<Item = (&BigNum, &BigNum)> {
        let all = &self.0;
        let pairs = (0..all.len()).flat_map(move |one| (0..one).map(move |two| (one, two)));
        pairs.map(move |(one, two)| match (one + two) % 2 {
            0 => (&all[one], &all[two]),
            _ => (&all[two], &all[one]),
        })
    }
}

/// Public exponents: the usual one, small ones, and two beyond 32 bits.
const EXPONENTS: [&str; 8] = [
    "65537",
    "3",
    "65537",
    "17",
    "65537",
    "257",
    "2147483659",
    "18446744073709551557",
];

/// With that public exponent, or the usual one where the primes do not go with it.
fn rsa_key(p: &BigNum, q: &BigNum, exponent: &str) -> PKey<Private> {
    let mut context = BigNumContext::new().unwrap();
    let mut made = |make: &mut dyn FnMut(&mut BigNumRef, &mut BigNumContextRef) -> Made| {
        let mut number = BigNum::new().unwrap();
        make(&mut number, &mut context).map(|()| number)
    };
    let (mut p1, mut q1) = (copy(p), copy(q));
    p1.sub_word(1).unwrap();
    q1.sub_word(1).unwrap();
    let n = made(&mut |n, context| n.checked_mul(p, q, context)).unwrap();
    let phi = made(&mut |phi, context| phi.checked_mul(&p1, &q1, context)).unwrap();
    let e = BigNum::from_dec_str(exponent).unwrap();
    let Ok(d) = made(&mut |d, context| d.mod_inverse(&e, &phi, context)) else {
        return rsa_key(p, q, EXPONENTS[0]);
    };
    let dp = made(&mut |dp, context| dp.checked_rem(&d, &p1, context)).unwrap();
    let dq = made(&mut |dq, context| dq.checked_rem(&d, &q1, context)).unwrap();
    let qinv = made(&mut |qinv, context| qinv.mod_inverse(q, p, context)).unwrap();
    let rsa = Rsa::from_private_components(n, e, d, copy(p), copy(q), dp, dq, qinv).unwrap();
    PKey::from_rsa(rsa).unwrap()
}

type Made = Result<(), ErrorStack>;

fn copy(number: &BigNumRef) -> BigNum {
    number.to_owned().unwrap()
}

fn random(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    openssl::rand::rand_bytes(&mut bytes).unwrap();
    bytes
}

/// Every digest that TLS signs with.
fn digests() -> [(&'static str, MessageDigest); 5] {
    [
        ("SHA256", MessageDigest::sha256()),
        ("SHA384", MessageDigest::sha384()),
        ("SHA512", MessageDigest::sha512()),
        ("SHA1", MessageDigest::sha1()),
        ("SHA224", MessageDigest::sha224()),
    ]
}

/// Signs a message with each key, padded in both ways, and compares.
fn signatures(lanes: &Lanes, keys: &[PKey<Private>], first: usize) {
    let digest = move |index: usize| digests()[(first + index) % digests().len()];
    let messages: Vec<_> = keys
        .iter()
        .map(|key| random(key.bits() as usize / 40))
        .collect();
    let works = keys
        .iter()
        .zip(&messages)
        .enumerate()
        .map(|(index, (key, message))| {
            let (key, message) = (key.private_key_to_pkcs8().unwrap(), message.clone());
            move |offload: &Offload| {
                let own = offload.private_key(&key).unwrap();
                let pss = [("rsa_padding_mode", "pss"), ("rsa_pss_saltlen", "digest")];
                [&[][..], &pss].map(|options| {
                    let name = digest(index).0;
                    sign(offload.library(), &own, name, options, &message, true).unwrap()
                })
            }
        });
    let signed = lanes.at_once(works);
    for (index, [pkcs1, pss]) in signed.iter().enumerate() {
        let (key, message) = (&keys[index], &messages[index]);
        let mut signer = Signer::new(digest(index).1, key).unwrap();
        assert_eq!(*pkcs1, signer.sign_oneshot_to_vec(message).unwrap());
        let mut verifier = Verifier::new(digest(index).1, key).unwrap();
        verifier.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        verifier
            .set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)
            .unwrap();
        assert!(verifier.verify_oneshot(pss, message).unwrap());
    }
}

fn rsa_agrees(bits: i32, usual: usize) {
    let Some(lanes) = lanes() else { return };
    let count = agreements(usual);
    let primes = Primes::new(bits / 2, count);
    let pairs: Vec<_> = primes.pairs().take(count).collect();
    for (group, pairs) in pairs.chunks(TOGETHER).enumerate() {
        let first = group * TOGETHER;
        let exponents = EXPONENTS.iter().cycle().skip(first % EXPONENTS.len());
        let keys = pairs.iter().zip(exponents);
        let keys: Vec<_> = keys.map(|((p, q), e)| rsa_key(p, q, e)).collect();
        signatures(&lanes, &keys, first);
    }
    assert_eq!(lanes.counts(Algorithm::Rsa), [2 * count as u64, 0, 0]);

    // Primes of unlike sizes, which the lanes do not do: as right in software.
    let (longer, shorter) = (Primes::new(bits / 2 + 16, 3), Primes::new(bits / 2 - 16, 3));
    let pairs = longer.0.iter().zip(&shorter.0);
    let keys = pairs.flat_map(|(p, q)| [rsa_key(p, q, "3"), rsa_key(q, p, "65537")]);
    let keys: Vec<_> = keys.collect();
    signatures(&lanes, &keys, 0);
    let [accelerated, software, redone] = lanes.counts(Algorithm::Rsa);
    assert_eq!((accelerated, redone), (2 * count as u64, 0));
    assert_eq!(software, 2 * keys.len() as u64);
}

#[test]
fn rsa_2048_agrees() {
    rsa_agrees(2048, 200);
}

#[test]
fn rsa_3072_agrees() {
    rsa_agrees(3072, 60);
}

#[test]
fn rsa_4096_agrees() {
    rsa_agrees(4096, 30);
}

fn peer(public: &[u8]) -> PKey<openssl::pkey::Public> {
    PKey::public_key_from_raw_bytes(public, Id::X25519).unwrap()
}

/// The secret of OpenSSL's own, if it has one.
fn software(private: &PKey<Private>, public: &[u8]) -> Option<Vec<u8>> {
    let (peer, mut deriver) = (peer(public), Deriver::new(private).unwrap());
    deriver.set_peer(&peer).unwrap();
    deriver.derive_to_vec().ok()
}

/// A new key of the lanes' and its secret with each peer, compared.
fn exchanges(lanes: &Lanes, peers: &[Vec<u8>]) {
    let works = peers.iter().cloned().map(|public| {
        move |offload: &Offload| {
            let own = x25519_generate(offload.library());
            let secret = derive(offload.library(), &own, &peer(&public));
            let halves = [own.raw_private_key(), own.raw_public_key()];
            (halves.map(Result::unwrap), secret)
        }
    });
    let made = lanes.at_once(works);
    for (public, ([private, own], secret)) in peers.iter().zip(made) {
        let private = PKey::private_key_from_raw_bytes(&private, Id::X25519).unwrap();
        assert_eq!(private.raw_public_key().unwrap(), own);
        assert_eq!(secret, software(&private, public), "{public:02x?}");
    }
}

#[test]
fn x25519_agrees() {
    let Some(lanes) = lanes() else { return };
    let count = agreements(1000);
    for first in (0..count).step_by(TOGETHER) {
        let rest = TOGETHER.min(count - first);
        // Half of them with the highest bit set, which does not count (RFC 7748, 5).
        let peers: Vec<_> = (0..rest).map(|_| random(32)).collect();
        exchanges(&lanes, &peers);
    }
    // A key and a secret each.
    assert_eq!(lanes.counts(Algorithm::X25519), [2 * count as u64, 0, 0]);
}

/// Little-endian: so much below (or, wrapped, above) 2^255, with and without the highest bit.
fn below_2_255(less: u8) -> [Vec<u8>; 2] {
    [0x7f, 0xff].map(|high| {
        let mut number = vec![0xff; 32];
        (number[0], number[31]) = (0u8.wrapping_sub(less), high);
        number
    })
}

/// Zero, small numbers, all that are written in two ways (2^255 - 19 and beyond, RFC 7748, 5)
/// and those a little below, and the points of order 8.
#[test]
fn x25519_agrees_at_its_edges() {
    let Some(lanes) = lanes() else { return };
    let small = (0..=19).map(|number| {
        let mut bytes = vec![0; 32];
        bytes[0] = number;
        bytes
    });
    let order_8 = [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ];
    let order_8 = order_8.map(|hex| {
        BigNum::from_hex_str(hex)
            .unwrap()
            .to_vec_padded(32)
            .unwrap()
    });
    let edges = small.chain((1..=40).flat_map(below_2_255)).chain(order_8);
    let edges: Vec<_> = edges.collect();
    for edges in edges.chunks(5) {
        // Beside ordinary ones.
        let peers: Vec<_> = edges
            .iter()
            .cloned()
            .chain((0..9).map(|_| random(32)))
            .collect();
        exchanges(&lanes, &peers);
    }
    let zeros = edges.iter().filter(|public| {
        let private = PKey::generate_x25519().unwrap();
        software(&private, public).is_none()
    });
    // 0, 1, those of order 8, and -1, 0 and 1 beyond the prime, each with the highest bit and without.
    assert_eq!(zeros.count(), 4 + 2 * 3);
    assert_eq!(lanes.counts(Algorithm::X25519)[2], 0);
}
