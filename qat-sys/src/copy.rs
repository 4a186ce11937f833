//! How large blocks are copied: in pieces that are quick to copy wherever they lie.
//!
//! On AMD's Zen 3, glibc 2.36 copies 2 KiB and more with `rep movsb`, which takes 28 times
//! as long (5.4 µs for 16 KiB instead of 0.19) where the destination lies 1 to 31 bytes
//! past the source, modulo 4 KiB. Large blocks of mimalloc begin on a page, and what a
//! gateway copies is shifted by the head of a frame or record: with them this is the usual
//! case. In pieces, a download costs a quarter less.

/// Less than glibc copies with `rep movsb`.
const PIECE: usize = 1024;

/// As `Vec::extend_from_slice`.
pub fn append(to: &mut Vec<u8>, from: &[u8]) {
    to.reserve(from.len());
    for piece in from.chunks(PIECE) {
        to.extend_from_slice(piece);
    }
}

/// Copies `from` to the beginning of `to`, which is as long at least.
pub fn fill(to: &mut [u8], from: &[u8]) {
    for (to, from) in to[..from.len()].chunks_mut(PIECE).zip(from.chunks(PIECE)) {
        to.copy_from_slice(from);
    }
}
