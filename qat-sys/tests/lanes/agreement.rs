//! The same numbers from the lanes and from OpenSSL.

use openssl::derive::Deriver;
use openssl::pkey::{Id, PKey};
use qat_sys::lanes::{
    Derive, Generate, Kind, LANES, Library, Limbs, Rsa, Scratch, Statuses, Verified, is_ordinary,
};

use crate::crypto_mb::agreements;
use crate::{library, random, rsa};

fn software_public(private: &[u8; 32]) -> [u8; 32] {
    let key = PKey::private_key_from_raw_bytes(private, Id::X25519).unwrap();
    key.raw_public_key().unwrap().try_into().unwrap()
}

/// None if OpenSSL refuses: the secret is zero.
pub fn software_secret(private: &[u8; 32], peer: &[u8; 32]) -> Option<[u8; 32]> {
    let key = PKey::private_key_from_raw_bytes(private, Id::X25519).unwrap();
    let peer = PKey::public_key_from_raw_bytes(peer, Id::X25519).unwrap();
    let mut deriver = Deriver::new(&key).unwrap();
    deriver.set_peer(&peer).unwrap();
    Some(deriver.derive_to_vec().ok()?.try_into().unwrap())
}

pub type Pair = ([u8; 32], [u8; 32]);

/// `pairs`: private key and peer's key, None for an empty lane.
pub fn secrets(library: &Library, pairs: &[Option<Pair>]) -> (Statuses, Vec<[u8; 32]>) {
    let mut secrets = vec![[0xaa; 32]; pairs.len()];
    let operands = pairs.iter().zip(&mut secrets).map(|(pair, secret)| {
        let (private, peer) = pair.as_ref()?;
        Some(Derive {
            private,
            peer,
            secret,
        })
    });
    let statuses = library.derive(&mut operands.collect::<Vec<_>>());
    (statuses, secrets)
}

#[test]
fn x25519_agrees_with_openssl() {
    let Some(library) = library() else { return };
    // Four pairs a round, or nearly.
    for round in 0..agreements(1000) / 3 {
        // Every number of lanes, and now and then holes.
        let count = round % LANES + 1;
        let pair =
            |lane| (round % 3 != 0 || (round >> lane) & 1 == 0).then(|| (random(), random()));
        let pairs: Vec<_> = (0..count).map(pair).collect();
        let (statuses, derived) = secrets(library, &pairs);
        let mut publics = vec![[0xaa; 32]; count];
        let mut privates: Vec<_> = pairs.iter().map(|pair| pair.map(|pair| pair.0)).collect();
        let lanes = privates.iter_mut().zip(&mut publics);
        let lanes = lanes.map(|(private, public)| {
            Some(Generate {
                private: private.as_mut()?,
                public,
            })
        });
        let made = library.public(&mut lanes.collect::<Vec<_>>());
        for (lane, pair) in pairs.iter().enumerate() {
            let Some((private, peer)) = pair else {
                assert!(
                    !statuses.is_ok(lane) && !made.is_ok(lane),
                    "an empty lane says so"
                );
                assert_eq!((derived[lane], publics[lane]), ([0xaa; 32], [0xaa; 32]));
                continue;
            };
            assert!(statuses.is_ok(lane) && made.is_ok(lane));
            assert_eq!(Some(derived[lane]), software_secret(private, peer));
            assert_eq!(publics[lane], software_public(private));
        }
    }
}

#[test]
fn new_pairs_are_whole_clamped_and_each_another() {
    let Some(library) = library() else { return };
    let mut seen = std::collections::HashSet::new();
    for count in (1..=LANES).cycle().take(64) {
        let mut pairs = vec![([0; 32], [0; 32]); count];
        let lanes = pairs
            .iter_mut()
            .map(|(private, public)| Some(Generate { private, public }));
        let statuses = library.generate(&mut lanes.collect::<Vec<_>>());
        for (lane, (private, public)) in pairs.iter().enumerate() {
            assert!(statuses.is_ok(lane));
            assert_eq!((private[0] & 7, private[31] & 0xc0), (0, 0x40));
            assert_eq!(*public, software_public(private));
            assert!(seen.insert(*private));
        }
    }
}

pub fn point(hex: &str) -> [u8; 32] {
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
}

/// One place holds `peer`, the others what is random; gives the secret and its status.
fn among_others(library: &Library, place: usize, peer: [u8; 32]) -> ([u8; 32], Statuses) {
    let mut pairs = [(); LANES].map(|()| Some((random(), random())));
    pairs[place] = Some((random(), peer));
    let (statuses, derived) = secrets(library, &pairs);
    for lane in (0..LANES).filter(|lane| *lane != place) {
        let (private, peer) = pairs[lane].unwrap();
        assert!(statuses.is_ok(lane));
        assert_eq!(Some(derived[lane]), software_secret(&private, &peer));
    }
    (derived[place], statuses)
}

/// Of order 8 (<https://cr.yp.to/ecdh.html#validate>); the others are not ordinary.
#[test]
fn points_of_low_order_give_zeros_and_disturb_nobody() {
    let Some(library) = library() else { return };
    for (place, hex) in [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(is_ordinary(&point(hex)));
        let (secret, statuses) = among_others(library, place, point(hex));
        assert!(statuses.is_low_order(place), "{hex}");
        assert_eq!(secret, [0; 32]);
    }
}

#[test]
fn keys_that_are_not_ordinary_are_left_out_and_disturb_nobody() {
    let Some(library) = library() else { return };
    let near = |low: u8, high: u8| {
        let mut point = [0xff; 32];
        (point[0], point[31]) = (low, high);
        point
    };
    let peers = [
        [0; 32],
        near(0xec, 0x7f),
        near(0xea, 0xff),
        near(0xf7, 0x3f),
    ];
    for (place, peer) in peers.into_iter().enumerate() {
        assert!(!is_ordinary(&peer));
        let (secret, statuses) = among_others(library, place, peer);
        assert!(!statuses.is_ok(place) && !statuses.is_low_order(place));
        assert_eq!(secret, [0; 32]);
    }
}

fn rsa_agrees(kind: Kind, groups: usize) {
    let Some(library) = library() else { return };
    let keys = rsa::keys(kind.bits().unwrap() as u32);
    let limbs: Vec<_> = keys
        .iter()
        .map(|key| Limbs::of(&key.key).unwrap())
        .collect();
    let mut scratch = Scratch::default();
    for group in 0..groups {
        let count = group % LANES + 1;
        let hole = |lane: usize| group % 3 == 1 && lane == count / 2;
        let key_of = |lane: usize| (group + lane) % keys.len();
        let mut inputs: Vec<_> = (0..count).map(|lane| keys[key_of(lane)].input()).collect();
        if group == 0 {
            inputs[0].fill(0);
        }
        let mut outputs: Vec<_> = inputs.iter().map(|input| vec![0xaa; input.len()]).collect();
        let lanes = inputs.iter().zip(&mut outputs).enumerate();
        let lanes = lanes.map(|(lane, (input, output))| {
            let key = &limbs[key_of(lane)];
            (!hole(lane)).then_some(Rsa { key, input, output })
        });
        let (statuses, verified) = library.rsa(kind, &mut lanes.collect::<Vec<_>>(), &mut scratch);
        for lane in 0..count {
            assert_eq!(statuses.is_ok(lane), !hole(lane));
            // The first key has the public exponent 3.
            let right = !hole(lane) && key_of(lane) != 0;
            let expected = if right { Verified::Right } else { Verified::No };
            assert_eq!(verified[lane], expected);
            if !hole(lane) {
                assert_eq!(outputs[lane], keys[key_of(lane)].private(&inputs[lane]));
            }
        }
    }
}

#[test]
fn rsa_2048_agrees_with_openssl() {
    rsa_agrees(Kind::Rsa2048, 250);
}

#[test]
fn rsa_3072_agrees_with_openssl() {
    rsa_agrees(Kind::Rsa3072, 50);
}

#[test]
fn rsa_4096_agrees_with_openssl() {
    rsa_agrees(Kind::Rsa4096, 32);
}

#[test]
fn what_does_not_fit_together_is_not_computed() {
    let Some(library) = library() else { return };
    let mut scratch = Scratch::default();
    let key = &rsa::keys(2048)[0];
    let limbs = Limbs::of(&key.key).unwrap();
    let modulus = key.key.n.to_vec();
    let short = vec![1; 255];
    for (kind, input) in [
        (Kind::Rsa3072, key.input()),
        (Kind::X25519Derive, key.input()),
        (Kind::Rsa2048, modulus.clone()),
        (Kind::Rsa2048, short),
    ] {
        let mut output = vec![0xaa; input.len()];
        let operands = Rsa {
            key: &limbs,
            input: &input,
            output: &mut output,
        };
        let (statuses, verified) = library.rsa(kind, &mut [Some(operands)], &mut scratch);
        assert!(!statuses.is_ok(0) && output.iter().all(|byte| *byte == 0xaa));
        assert_ne!(verified[0], Verified::Right);
    }
    let nine: Vec<_> = (0..9).map(|_| Some((random(), random()))).collect();
    assert!(!secrets(library, &nine).0.is_ok(0));
}

/// As after a fault in one of the two halves, which would give the key away.
#[test]
fn a_wrong_result_is_told() {
    let Some(library) = library() else { return };
    let key = &rsa::keys(2048)[1];
    let own = |number: &openssl::bn::BigNumRef| number.to_owned().unwrap();
    let mut dp = own(&key.key.dp);
    dp.add_word(2).unwrap();
    let wrong = qat_sys::offload::RsaKey {
        n: own(&key.key.n),
        e: own(&key.key.e),
        d: own(&key.key.d),
        p: own(&key.key.p),
        q: own(&key.key.q),
        dp,
        dq: own(&key.key.dq),
        qinv: own(&key.key.qinv),
        attached: std::sync::OnceLock::new(),
    };
    let limbs = [Limbs::of(&wrong).unwrap(), Limbs::of(&key.key).unwrap()];
    let (input, mut outputs) = (key.input(), [vec![0; 256], vec![0; 256]]);
    let lanes = limbs.iter().zip(&mut outputs);
    let lanes = lanes.map(|(key, output)| {
        let input = &input;
        Some(Rsa { key, input, output })
    });
    let mut lanes = lanes.collect::<Vec<_>>();
    let (_, verified) = library.rsa(Kind::Rsa2048, &mut lanes, &mut Scratch::default());
    assert_eq!(verified[..2], [Verified::Wrong, Verified::Right]);
}

#[test]
fn keys_of_other_sizes_are_not_done() {
    let small = rsa::key_of(openssl::rsa::Rsa::generate(1024).unwrap());
    assert!(Limbs::of(&small.key).is_none());
}
