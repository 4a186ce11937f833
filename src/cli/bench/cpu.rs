//! CPUs: which thread runs where, and what it has used.

use std::fs;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Of the calling thread, since it began.
pub fn thread_time() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

/// Of all threads of this process.
pub fn process_time() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

fn duration(time: Timespec) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}

/// Where the two sides run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The server's CPU; None: left to the kernel, for there is but one.
    pub server: Option<usize>,
    /// The load's, one for each thread.
    pub load: Vec<Option<usize>>,
    /// The load runs on the other hyper-thread of the server's core.
    pub share_a_core: bool,
}

impl Places {
    /// Of this machine, with so many threads for the load; None: one for each CPU that is
    /// left, eight at most.
    pub fn find(threads: Option<usize>) -> Places {
        let allowed = allowed();
        Places::among(&allowed, &siblings, threads)
    }

    fn among(
        allowed: &[usize],
        siblings: &dyn Fn(usize) -> Vec<usize>,
        threads: Option<usize>,
    ) -> Places {
        let [rest @ .., server] = allowed else {
            return Places::anywhere(threads);
        };
        if rest.is_empty() {
            return Places::anywhere(threads);
        }
        let near = siblings(*server);
        let far: Vec<usize> = rest
            .iter()
            .copied()
            .filter(|cpu| !near.contains(cpu))
            .collect();
        let cpus = if far.is_empty() { rest } else { &far };
        let threads = threads.unwrap_or(cpus.len().min(8)).max(1);
        let turns = cpus.iter().copied().cycle().take(threads);
        Places {
            server: Some(*server),
            load: turns.map(Some).collect(),
            share_a_core: far.is_empty(),
        }
    }

    fn anywhere(threads: Option<usize>) -> Places {
        Places {
            server: None,
            load: vec![None; threads.unwrap_or(1).max(1)],
            share_a_core: true,
        }
    }
}

/// The CPUs this thread may run on; empty if that cannot be told.
pub fn allowed() -> Vec<usize> {
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU)
            .filter(|cpu| set.is_set(*cpu))
            .collect(),
        Err(_) => Vec::new(),
    }
}

/// Keeps the calling thread on this CPU. Where that is refused it runs where it may.
pub fn pin(cpu: Option<usize>) {
    if let Some(cpu) = cpu {
        let mut set = CpuSet::new();
        set.set(cpu);
        let _ = sched_setaffinity(None, &set);
    }
}

/// The hyper-threads of a CPU's core: `0-1,8` of sysfs (Documentation/admin-guide/cputopology).
fn siblings(cpu: usize) -> Vec<usize> {
    let file = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    list(fs::read_to_string(file).unwrap_or_default().trim())
}

fn list(text: &str) -> Vec<usize> {
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_keeps_off_the_servers_core() {
        let pairs = |cpu: usize| vec![cpu & !1, cpu | 1];
        let places = Places::among(&[0, 1, 2, 3], &pairs, None);
        assert_eq!(places.server, Some(3));
        assert_eq!(places.load, [Some(0), Some(1)]);
        assert!(!places.share_a_core);
        let places = Places::among(&[0, 1], &pairs, None);
        assert_eq!((places.server, places.load), (Some(1), vec![Some(0)]));
        assert!(places.share_a_core);
        let places = Places::among(&[5], &pairs, Some(2));
        assert_eq!((places.server, places.load), (None, vec![None, None]));
    }

    #[test]
    fn lists_of_cpus() {
        assert_eq!(list("0-2,8"), [0, 1, 2, 8]);
        assert!(list("").is_empty());
    }

    #[test]
    fn work_takes_time() {
        let before = (thread_time(), process_time());
        while thread_time() == before.0 {}
        assert!(process_time() > before.1);
    }
}
