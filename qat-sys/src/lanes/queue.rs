//! What waits to be run: per kind, the oldest first.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Instant;

use super::{Derive, Generate, Kind, LANES, Library, Limbs, Rsa, Scratch, Verified};
use crate::job::Pausing;
use crate::offload::Outcome;

/// Where the outcome is put for the job that waits for it. On its stack.
pub(super) type Slot = Cell<Option<Outcome>>;

/// An operation of a paused job.
///
/// Every pointer is to what the job borrowed for the call it is paused in, or to its
/// stack: valid, and touched by nobody else, until the job is resumed. Being resumed, it
/// removes its operation from wherever it is ([`super::batch::Inner::forget`]); so what
/// is queued is always valid.
pub(super) struct Operation {
    pub operands: Operands,
    pub slot: *const Slot,
    pub job: Pausing,
    pub since: Instant,
}

#[derive(Clone, Copy)]
pub(super) enum Operands {
    Rsa {
        key: *const Limbs,
        input: *const [u8],
        output: *mut [u8],
    },
    Generate {
        private: *mut [u8; 32],
        public: *mut [u8; 32],
    },
    Derive {
        private: *const [u8; 32],
        peer: *const [u8; 32],
        secret: *mut [u8; 32],
    },
}

impl Operation {
    /// None if it is of another kind, as in the next two.
    pub(super) fn rsa(&self) -> Option<Rsa<'_>> {
        let Operands::Rsa { key, input, output } = self.operands else {
            return None;
        };
        // SAFETY: the pointers of an operation that exists are valid (see its type).
        let (key, input, output) = unsafe { (&*key, &*input, &mut *output) };
        Some(Rsa { key, input, output })
    }

    pub(super) fn generate(&self) -> Option<Generate<'_>> {
        let Operands::Generate { private, public } = self.operands else {
            return None;
        };
        // SAFETY: as above.
        let (private, public) = unsafe { (&mut *private, &mut *public) };
        Some(Generate { private, public })
    }

    pub(super) fn derive(&self) -> Option<Derive<'_>> {
        let Operands::Derive {
            private,
            peer,
            secret,
        } = self.operands
        else {
            return None;
        };
        // SAFETY: as above.
        let (private, peer, secret) = unsafe { (&*private, &*peer, &mut *secret) };
        Some(Derive {
            private,
            peer,
            secret,
        })
    }

    pub(super) fn settle(&self, outcome: Outcome) {
        // SAFETY: as above; the cell is of this thread.
        unsafe { (*self.slot).set(Some(outcome)) };
    }
}

/// Up to eight operations of a kind.
pub(super) struct Group {
    pub kind: Kind,
    pub operations: Vec<Operation>,
}

impl Group {
    /// Computes them all; the results are where the operations want them.
    pub(super) fn in_lanes(&self, library: &Library, scratch: &mut Scratch) -> [Outcome; LANES] {
        let operation = |lane: usize| self.operations.get(lane);
        match self.kind {
            Kind::X25519Generate => {
                let mut lanes =
                    std::array::from_fn::<_, LANES, _>(|lane| operation(lane)?.generate());
                let statuses = library.generate(&mut lanes);
                std::array::from_fn(|lane| done(statuses.is_ok(lane)))
            }
            Kind::X25519Derive => {
                let mut lanes =
                    std::array::from_fn::<_, LANES, _>(|lane| operation(lane)?.derive());
                let statuses = library.derive(&mut lanes);
                // Zeros are a result, which is for the caller to refuse.
                let zeros = |lane| statuses.is_low_order(lane);
                std::array::from_fn(|lane| done(statuses.is_ok(lane) || zeros(lane)))
            }
            Kind::Rsa2048 | Kind::Rsa3072 | Kind::Rsa4096 => {
                let mut lanes = std::array::from_fn::<_, LANES, _>(|lane| operation(lane)?.rsa());
                let (statuses, verified) = library.rsa(self.kind, &mut lanes, scratch);
                std::array::from_fn(|lane| match verified[lane] {
                    Verified::Right if statuses.is_ok(lane) => Outcome::Verified,
                    Verified::No => done(statuses.is_ok(lane)),
                    _ => Outcome::Failed,
                })
            }
        }
    }
}

fn done(well: bool) -> Outcome {
    match well {
        true => Outcome::Done,
        false => Outcome::Failed,
    }
}

#[derive(Default)]
pub(super) struct Queue([VecDeque<Operation>; Kind::ALL.len()]);

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(VecDeque::len).sum()
    }

    pub(super) fn waiting(&self, kind: Kind) -> usize {
        self.0[kind.index()].len()
    }

    pub(super) fn full(&self) -> bool {
        self.0.iter().any(|queue| queue.len() >= LANES)
    }

    pub(super) fn oldest(&self) -> Option<Instant> {
        self.0
            .iter()
            .filter_map(|queue| queue.front())
            .map(|first| first.since)
            .min()
    }

    pub(super) fn push(&mut self, kind: Kind, operation: Operation) {
        self.0[kind.index()].push_back(operation);
    }

    /// The full group that has waited longest, else if `partial` whatever has.
    pub(super) fn take(&mut self, partial: bool) -> Option<Group> {
        let kind = self
            .longest_waiting(LANES)
            .or_else(|| partial.then(|| self.longest_waiting(1)).flatten())?;
        let queue = &mut self.0[kind.index()];
        let operations = queue.drain(..queue.len().min(LANES)).collect();
        Some(Group { kind, operations })
    }

    fn longest_waiting(&self, least: usize) -> Option<Kind> {
        let enough = Kind::ALL
            .into_iter()
            .filter(|kind| self.waiting(*kind) >= least);
        enough.min_by_key(|kind| self.0[kind.index()].front().map(|first| first.since))
    }

    /// False if it is not there.
    pub(super) fn remove(&mut self, kind: Kind, slot: *const Slot) -> bool {
        let queue = &mut self.0[kind.index()];
        let place = queue.iter().position(|operation| operation.slot == slot);
        place.is_some_and(|place| queue.remove(place).is_some())
    }
}
