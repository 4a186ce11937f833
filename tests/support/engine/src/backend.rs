//! The device as a [`Backend`].

use openssl::derive::Deriver;
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::{Padding, Rsa};
use qat_sys::offload::{Backend, EcdsaKey, Outcome, RsaKey, X25519Key};

use crate::device::{Counts, Device};
use crate::script::{Operation, Script};

/// **No security**: it copies keys, and does wrong when told to.
pub struct Simulated(Device);

impl Simulated {
    /// # Panics
    /// If that is no script, see [`Script`].
    pub fn new(script: &str) -> Simulated {
        Simulated(Device::new(read(script)))
    }

    /// # Panics
    /// As `new`.
    pub fn set_script(&self, script: &str) {
        self.0.set_script(read(script));
    }

    pub fn counts(&self) -> Counts {
        self.0.counts()
    }

    pub fn device(&self) -> &Device {
        &self.0
    }
}

fn read(script: &str) -> Script {
    match script.parse() {
        Ok(script) => script,
        Err(problem) => panic!("{problem}"),
    }
}

impl Backend for Simulated {
    fn rsa_private(&self, key: &RsaKey, input: &[u8], output: &mut [u8]) -> Outcome {
        let Ok(rsa) = rsa(key) else {
            return Outcome::Failed;
        };
        let input = input.to_vec();
        let compute = move || {
            let mut output = vec![0; input.len()];
            rsa.private_encrypt(&input, &mut output, Padding::NONE)
                .ok()?;
            Some(output)
        };
        fill(self.0.run(Operation::Rsa, Box::new(compute)), output)
    }

    fn ecdsa_sign(&self, key: &EcdsaKey, hash: &[u8], signature: &mut Vec<u8>) -> Outcome {
        let Ok(key) = key.pkey.ec_key() else {
            return Outcome::Failed;
        };
        let hash = hash.to_vec();
        let compute = move || EcdsaSig::sign(&hash, &key).ok()?.to_der().ok();
        match self.0.run(Operation::Ecdsa, Box::new(compute)) {
            Ok(made) => {
                *signature = made;
                Outcome::Done
            }
            Err(outcome) => outcome,
        }
    }

    fn x25519_generate(&self, key: &mut X25519Key) -> Outcome {
        let compute = || {
            let made = PKey::generate_x25519().ok()?;
            let mut both = made.raw_private_key().ok()?;
            both.extend(made.raw_public_key().ok()?);
            Some(both)
        };
        match self.0.run(Operation::Generate, Box::new(compute)) {
            Ok(both) => {
                key.private.copy_from_slice(&both[..32]);
                key.public.copy_from_slice(&both[32..]);
                Outcome::Done
            }
            Err(outcome) => outcome,
        }
    }

    fn x25519_derive(&self, key: &X25519Key, peer: &[u8; 32], secret: &mut [u8; 32]) -> Outcome {
        let (own, peer) = (key.private.clone(), *peer);
        let compute = move || {
            let own = PKey::private_key_from_raw_bytes(&*own, Id::X25519).ok()?;
            let peer = PKey::public_key_from_raw_bytes(&peer, Id::X25519).ok()?;
            let mut deriver = Deriver::new(&own).ok()?;
            deriver.set_peer(&peer).ok()?;
            deriver.derive_to_vec().ok()
        };
        fill(self.0.run(Operation::Derive, Box::new(compute)), secret)
    }
}

fn fill(result: Result<Vec<u8>, Outcome>, output: &mut [u8]) -> Outcome {
    match result {
        Ok(bytes) if bytes.len() == output.len() => {
            output.copy_from_slice(&bytes);
            Outcome::Done
        }
        Ok(_) => Outcome::Failed,
        Err(outcome) => outcome,
    }
}

fn rsa(key: &RsaKey) -> Result<Rsa<Private>, ErrorStack> {
    Rsa::from_private_components(
        (*key.n).to_owned()?,
        (*key.e).to_owned()?,
        (*key.d).to_owned()?,
        (*key.p).to_owned()?,
        (*key.q).to_owned()?,
        (*key.dp).to_owned()?,
        (*key.dq).to_owned()?,
        (*key.qinv).to_owned()?,
    )
}
