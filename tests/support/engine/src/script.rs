//! What becomes of each operation.
//!
//! ```text
//! rsa=queue_full:3,error,later:5;derive=twice;*=batch:10
//! ```
//!
//! An operation's entries are used one after another; the last stays in force. `*` is
//! for the operations that are not named. Times are in milliseconds.

use std::collections::VecDeque;
use std::str::FromStr;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Rsa,
    Generate,
    Derive,
    Ecdsa,
}

impl Operation {
    pub(crate) const ALL: [(Operation, &'static str); 4] = [
        (Operation::Rsa, "rsa"),
        (Operation::Generate, "generate"),
        (Operation::Derive, "derive"),
        (Operation::Ecdsa, "ecdsa"),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `now`: completed before the job has paused.
    Now,
    /// `later:MS`: from another thread.
    Later(Duration),
    /// `never`: unless released by [`Device::release`](crate::Device::release).
    Never,
    /// `twice`: completed once more at once.
    Twice,
    /// `afterwards:MS`: completed, and again so much later, when the SSL may be gone.
    Afterwards(Duration),
    /// `queue_full:N`: refused N times; then the next entry is used. Declined if it is the
    /// last one.
    QueueFull(u32),
    /// `batch:MS`: waits for eight of them, or so long.
    Batch(Duration),
    /// `declined`: without a pause.
    Declined,
    /// `error`: after a pause.
    Error,
    /// `wrong`: a result that is not true.
    Wrong,
    /// `reset`: this one and all that are in flight fail.
    Reset,
    /// `panic`: without a message, for want of stack. A backend's only.
    Panic,
}

impl FromStr for Answer {
    type Err = String;

    fn from_str(text: &str) -> Result<Answer, String> {
        let (name, number) = text.split_once(':').unwrap_or((text, "0"));
        let number: u32 = number.parse().map_err(|_| format!("no number: {text}"))?;
        let time = Duration::from_millis(number.into());
        Ok(match name {
            "now" => Answer::Now,
            "later" => Answer::Later(time),
            "never" => Answer::Never,
            "twice" => Answer::Twice,
            "afterwards" => Answer::Afterwards(time),
            "queue_full" => Answer::QueueFull(number),
            "batch" => Answer::Batch(time),
            "declined" => Answer::Declined,
            "error" => Answer::Error,
            "wrong" => Answer::Wrong,
            "reset" => Answer::Reset,
            "panic" => Answer::Panic,
            _ => return Err(format!("no such answer: {text}")),
        })
    }
}

/// Without entries everything is done well, from another thread.
#[derive(Clone, Debug, Default)]
pub struct Script([VecDeque<Answer>; Operation::ALL.len()]);

impl Script {
    pub(crate) fn next(&mut self, operation: Operation) -> Answer {
        let entries = &mut self.0[operation as usize];
        match entries.len() {
            0 => Answer::Later(Duration::ZERO),
            1 => entries[0],
            _ => entries.pop_front().unwrap_or(Answer::Now),
        }
    }

    /// Whether there is nothing left but an entry that refuses.
    pub(crate) fn refuses_for_ever(&self, operation: Operation) -> bool {
        let entries = &self.0[operation as usize];
        entries.len() == 1 && matches!(entries[0], Answer::QueueFull(_))
    }
}

impl FromStr for Script {
    type Err = String;

    fn from_str(text: &str) -> Result<Script, String> {
        let mut script = Script::default();
        for part in text.split(';').filter(|part| !part.trim().is_empty()) {
            let (name, entries) = part.split_once('=').ok_or(format!("no `=`: {part}"))?;
            let entries = entries.split(',').map(|entry| entry.trim().parse());
            let entries = entries.collect::<Result<VecDeque<Answer>, String>>()?;
            let name = name.trim();
            let mut known = false;
            for (operation, its) in Operation::ALL {
                let place = &mut script.0[operation as usize];
                if name == its || (name == "*" && place.is_empty()) {
                    place.clone_from(&entries);
                }
                known |= name == its || name == "*";
            }
            if !known {
                return Err(format!("no such operation: {name}"));
            }
        }
        Ok(script)
    }
}
