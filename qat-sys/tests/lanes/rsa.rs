//! RSA keys for the tests, each made once.

use std::sync::{Arc, OnceLock};

use openssl::bn::BigNum;
use openssl::pkey::Private;
use openssl::rsa::{Padding, Rsa};
use qat_sys::offload::RsaKey;

pub struct Key {
    pub software: Rsa<Private>,
    pub key: RsaKey,
}

pub fn key_of(software: Rsa<Private>) -> Key {
    let key = RsaKey::of(&software).unwrap();
    Key { software, key }
}

/// Some with 65537 and one with another public exponent.
pub fn keys(bits: u32) -> Vec<Arc<Key>> {
    static MADE: [OnceLock<Vec<Arc<Key>>>; 3] = [const { OnceLock::new() }; 3];
    let made = MADE[bits as usize / 1024 - 2].get_or_init(|| {
        let three = BigNum::from_u32(3).unwrap();
        let generate = |index| match index {
            0 => Rsa::generate_with_e(bits, &three),
            _ => Rsa::generate(bits),
        };
        let count = if bits == 2048 { 0..4 } else { 0..2 };
        count
            .map(|index| Arc::new(key_of(generate(index).unwrap())))
            .collect()
    });
    made.clone()
}

impl Key {
    /// A random number below the modulus.
    pub fn input(&self) -> Vec<u8> {
        let mut input = vec![0; self.software.size() as usize];
        openssl::rand::rand_bytes(&mut input).unwrap();
        input[0] &= 0x7f;
        input
    }

    /// By OpenSSL.
    pub fn private(&self, input: &[u8]) -> Vec<u8> {
        let mut output = vec![0; input.len()];
        self.software
            .private_encrypt(input, &mut output, Padding::NONE)
            .unwrap();
        output
    }
}
