//! Where small writes are gathered to a full record.

use std::cell::RefCell;

use qat_sys::copy;

/// The most that one TLS record carries (RFC 8446 section 5.1).
pub(super) const RECORD: usize = 16 * 1024;

/// Where the bytes begin in a block. OpenSSL copies them to 8 or 16 bytes past the
/// beginning of a page, from which this must be far: [`copy`] has why.
const LEAD: usize = 2 * 1024;
/// Where a full block ends.
const END: usize = LEAD + RECORD;

/// Blocks kept per thread for the next writers: a megabyte.
const KEPT: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes accepted from the writer and not yet sealed. It owns a block only while there
/// are any, so that an idle connection owns none.
pub(super) struct Plaintext {
    /// Some if and only if `start < end`.
    block: Option<Box<[u8]>>,
    start: usize,
    end: usize,
}

impl Default for Plaintext {
    fn default() -> Self {
        Plaintext {
            block: None,
            start: LEAD,
            end: LEAD,
        }
    }
}

impl Plaintext {
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn is_full(&self) -> bool {
        self.end == END
    }

    pub(super) fn pending(&self) -> &[u8] {
        match &self.block {
            Some(block) => &block[self.start..self.end],
            None => &[],
        }
    }

    /// Takes what there is room for, and says how much.
    pub(super) fn push(&mut self, data: &[u8]) -> usize {
        let taken = data.len().min(END - self.end);
        if taken > 0 {
            let block = self.block.get_or_insert_with(take_block);
            copy::fill(&mut block[self.end..], &data[..taken]);
            self.end += taken;
        }
        taken
    }

    /// Forgets the first `written` of the pending bytes.
    pub(super) fn consume(&mut self, written: usize) {
        self.start = (self.start + written).min(self.end);
        if self.is_empty() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        (self.start, self.end) = (LEAD, LEAD);
        if let Some(block) = self.block.take() {
            keep_block(block);
        }
    }
}

impl Drop for Plaintext {
    fn drop(&mut self) {
        self.clear();
    }
}

fn take_block() -> Box<[u8]> {
    FREE.with_borrow_mut(Vec::pop)
        .unwrap_or_else(|| vec![0; END].into_boxed_slice())
}

fn keep_block(block: Box<[u8]>) {
    // A thread that ends has no free list any more: the block is simply freed.
    let _ = FREE.try_with(|free| {
        let mut free = free.borrow_mut();
        if free.len() < KEPT {
            free.push(block);
        }
    });
}
