//! The library's calls, on up to eight operations of a kind; lanes may be empty.
//!
//! Not for a job's stack: the library takes tens of kilobytes of it.

use std::ffi::c_int;
use std::ptr;

use openssl::rand;
use zeroize::{Zeroize, Zeroizing};

use super::library::Method;
use super::{Kind, LANES, Library, Limbs};

/// `output` = `input` to the power of the key's private exponent; both are as long as its
/// modulus, big-endian.
pub struct Rsa<'a> {
    pub key: &'a Limbs,
    pub input: &'a [u8],
    pub output: &'a mut [u8],
}

/// Fills both halves of a new X25519 key pair.
pub struct Generate<'a> {
    pub private: &'a mut [u8; 32],
    pub public: &'a mut [u8; 32],
}

/// The shared secret of an X25519 private key, made for this one use, and a peer's public
/// key, which has to be [ordinary](is_ordinary).
pub struct Derive<'a> {
    pub private: &'a [u8; 32],
    pub peer: &'a [u8; 32],
    pub secret: &'a mut [u8; 32],
}

/// Whether the library can be trusted with a peer's public key. Versions 1.0.14 to 2.3.0
/// at least compute wrong secrets for numbers a little below 2^255 - 19, and for some that
/// become such by doubling, as if a carry through all digits were lost; keys of low order
/// are among them. Those found have the same byte all over their middle, as a random key
/// has once in 2^120. What a peer might still contrive spoils its own handshake alone.
pub fn is_ordinary(peer: &[u8; 32]) -> bool {
    peer[9..24].iter().any(|byte| *byte != peer[8])
}

/// `mbx_status`: four bits per lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses(u32);

impl Statuses {
    /// Every lane with `MBX_STATUS_MISMATCH_PARAM_ERR`.
    const MISMATCH: Statuses = Statuses(0x1111_1111);
    const LOW_ORDER: u32 = 4;

    fn of(self, lane: usize) -> u32 {
        debug_assert!(lane < LANES);
        self.0 >> (lane * 4) & 0xf
    }

    pub fn is_ok(self, lane: usize) -> bool {
        self.of(lane) == 0
    }

    /// The peer's key is of low order: the secret is all zeros.
    pub fn is_low_order(self, lane: usize) -> bool {
        self.of(lane) == Statuses::LOW_ORDER
    }
}

/// What the public key says of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    Right,
    Wrong,
    /// The library can't do the key's public exponent, or the lane was empty.
    No,
}

/// Bytes of the longest modulus.
const LONGEST: usize = 4096 / 8;

/// Memory that the library works in, kept from one group to the next and wiped after each.
#[derive(Default)]
pub struct Scratch(Vec<Line>);

/// A cache line, the unit in which the library works, and in which it is wiped.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "the library alone reads it")] [u64; 8]);

impl zeroize::DefaultIsZeroes for Line {}

impl Scratch {
    /// `size` bytes at least.
    fn take(&mut self, size: usize) -> &mut [Line] {
        let lines = size.div_ceil(size_of::<Line>());
        if self.0.len() < lines {
            self.0 = vec![Line::default(); lines];
        }
        &mut self.0[..lines]
    }
}

impl Library {
    /// All keys have to be of `kind`, and all inputs below their key's modulus: else no
    /// lane is done. The second part tells of each lane whether its result has been
    /// verified with the public key; one that has not, of a key with the usual public
    /// exponent, is a wrong one.
    pub fn rsa(
        &self,
        kind: Kind,
        lanes: &mut [Option<Rsa<'_>>],
        scratch: &mut Scratch,
    ) -> (Statuses, [Verified; LANES]) {
        let none = (Statuses::MISMATCH, [Verified::No; LANES]);
        let (Some(method), Some(bits)) = (self.method(kind), kind.bits()) else {
            return none;
        };
        let (mut from, mut to) = ([ptr::null(); LANES], [ptr::null_mut(); LANES]);
        let mut numbers = [[ptr::null(); LANES]; 5];
        if lanes.len() > LANES {
            return none;
        }
        for (lane, rsa) in lanes.iter_mut().enumerate() {
            let Some(rsa) = rsa else { continue };
            let fits = rsa.key.kind() == kind && rsa.key.in_range(rsa.input);
            if !fits || rsa.output.len() != rsa.key.size() {
                return none;
            }
            (from[lane], to[lane]) = (rsa.input.as_ptr(), rsa.output.as_mut_ptr());
            for (all, number) in numbers.iter_mut().zip(rsa.key.pointers()) {
                all[lane] = number;
            }
        }
        let [p, q, dp, dq, qinv] = &numbers;
        let buffer = scratch.take(method.buffer);
        // SAFETY: eight pointers each, null or to numbers of the lengths that go with
        // `bits`: inputs and outputs of as many bits, the numbers of half as many. The
        // buffer has the size that the method asked for. Outputs do not overlap: they
        // are exclusively borrowed.
        let status = unsafe {
            (self.rsa_private_crt)(
                from.as_ptr(),
                to.as_ptr(),
                p.as_ptr(),
                q.as_ptr(),
                dp.as_ptr(),
                dq.as_ptr(),
                qinv.as_ptr(),
                bits as c_int,
                method.private,
                buffer.as_mut_ptr().cast(),
            )
        };
        buffer.zeroize();
        (Statuses(status), self.verify(method, bits, lanes, scratch))
    }

    /// Raises the results to the public exponent, and compares with the inputs.
    fn verify(
        &self,
        method: Method,
        bits: usize,
        lanes: &[Option<Rsa<'_>>],
        scratch: &mut Scratch,
    ) -> [Verified; LANES] {
        let mut verified = [Verified::No; LANES];
        let mut again = [[0; LONGEST]; LANES];
        let (mut from, mut to) = ([ptr::null(); LANES], [ptr::null_mut(); LANES]);
        let mut moduli = [ptr::null(); LANES];
        for (lane, again) in again.iter_mut().enumerate() {
            if let Some(Some(rsa)) = lanes.get(lane)
                && let Some(modulus) = rsa.key.verifiable()
            {
                (from[lane], to[lane]) = (rsa.output.as_ptr(), again.as_mut_ptr());
                (moduli[lane], verified[lane]) = (modulus, Verified::Wrong);
            }
        }
        let buffer = scratch.take(method.buffer);
        // SAFETY: as in `rsa`: numbers of `bits` bits, for which LONGEST is enough.
        let status = Statuses(unsafe {
            (self.rsa_public)(
                from.as_ptr(),
                to.as_ptr(),
                moduli.as_ptr(),
                bits as c_int,
                method.public,
                buffer.as_mut_ptr().cast(),
            )
        });
        for (lane, rsa) in lanes.iter().enumerate() {
            if let Some(rsa) = rsa
                && verified[lane] == Verified::Wrong
                && status.is_ok(lane)
                && again[lane][..rsa.input.len()] == *rsa.input
            {
                verified[lane] = Verified::Right;
            }
        }
        // Only public numbers were in the memory: the signature, and what was signed.
        verified
    }

    /// The private halves are random (`RAND_priv_bytes(3)`) and clamped (RFC 7748, 5).
    pub fn generate(&self, lanes: &mut [Option<Generate<'_>>]) -> Statuses {
        let mut random = Zeroizing::new([0u8; 32 * LANES]);
        if lanes.len() > LANES || rand::rand_priv_bytes(random.as_mut_slice()).is_err() {
            return Statuses::MISMATCH;
        }
        for (pair, random) in lanes.iter_mut().zip(random.chunks_exact(32)) {
            let Some(pair) = pair else { continue };
            pair.private.copy_from_slice(random);
            pair.private[0] &= 0xf8;
            pair.private[31] = pair.private[31] & 0x7f | 0x40;
        }
        self.public(lanes)
    }

    /// The public halves to private halves that are there.
    pub fn public(&self, lanes: &mut [Option<Generate<'_>>]) -> Statuses {
        if !self.supports(Kind::X25519Generate) || lanes.len() > LANES {
            return Statuses::MISMATCH;
        }
        let (mut public, mut private) = ([ptr::null_mut(); LANES], [ptr::null(); LANES]);
        for (lane, pair) in lanes.iter_mut().enumerate() {
            if let Some(pair) = pair {
                (public[lane], private[lane]) = (pair.public.as_mut_ptr(), pair.private.as_ptr());
            }
        }
        // SAFETY: eight pointers each, null or to 32 bytes; the outputs are exclusively
        // borrowed.
        Statuses(unsafe { (self.x25519_public)(public.as_ptr(), private.as_ptr()) })
    }

    /// A secret of a peer's key of low order comes out as zeros, and its status tells. The
    /// lane of a peer's key that is not [ordinary](is_ordinary) stays empty.
    pub fn derive(&self, lanes: &mut [Option<Derive<'_>>]) -> Statuses {
        if !self.supports(Kind::X25519Derive) || lanes.len() > LANES {
            return Statuses::MISMATCH;
        }
        let mut secret = [ptr::null_mut(); LANES];
        let (mut private, mut peer) = ([ptr::null(); LANES], [ptr::null(); LANES]);
        for (lane, derive) in lanes.iter_mut().enumerate() {
            if let Some(derive) = derive
                && is_ordinary(derive.peer)
            {
                secret[lane] = derive.secret.as_mut_ptr();
                (private[lane], peer[lane]) = (derive.private.as_ptr(), derive.peer.as_ptr());
            }
        }
        // SAFETY: as above.
        let statuses =
            Statuses(unsafe { (self.x25519)(secret.as_ptr(), private.as_ptr(), peer.as_ptr()) });
        for (lane, derive) in lanes.iter_mut().enumerate() {
            if let Some(derive) = derive
                && !statuses.is_ok(lane)
            {
                *derive.secret = [0; 32];
            }
        }
        statuses
    }
}
