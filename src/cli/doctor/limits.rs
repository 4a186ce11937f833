//! Limits of the process: open files, CPU time, huge pages.

use std::fs;
use std::path::{Path, PathBuf};

use super::needs::Needs;
use super::report::Setting;
use crate::accelerator::System;

pub fn limits(system: &System, needs: &Needs) -> Vec<Setting> {
    vec![
        open_files(system, needs),
        processors(&system.root, needs),
        transparent_huge_pages(&system.root),
    ]
}

/// The gateway raises the soft limit to the hard one when it starts.
fn open_files(system: &System, needs: &Needs) -> Setting {
    let hard = system.open_files().map(|(_, hard)| hard);
    let needed = needs.descriptors;
    let advised = hard
        .filter(|hard| *hard < needed)
        .map(|_| needed.next_power_of_two());
    Setting {
        name: "open files (hard limit)",
        sysctl: false,
        present: hard.map(|hard| match hard {
            u64::MAX => "unlimited".to_owned(),
            hard => hard.to_string(),
        }),
        advised: advised.map(|advised| advised.to_string()),
        why: format!(
            "{needed} are needed when every max_connections is reached; past the limit nothing is \
             accepted"
        ),
        remedy: advised.map(|n| {
            format!("ulimit -Hn {n}  # systemd: LimitNOFILE={n}; docker: --ulimit nofile={n}")
        }),
    }
}

fn processors(root: &Path, needs: &Needs) -> Setting {
    let (quota, allowed) = (quota(root), allowed(root));
    let shown = |quota: f64| format!("a quota of {quota:.2}");
    let present = allowed.map(|allowed| {
        let quota = quota.map_or("no quota".to_owned(), shown);
        format!("{} workers, {allowed} CPUs, {quota}", needs.workers)
    });
    // A part of a CPU is worth a worker: it is idle more often than it is stopped.
    let quota = quota.map(|quota| (quota.ceil() as usize).max(1));
    let most = quota.into_iter().chain(allowed).min();
    let advised = most.filter(|most| needs.workers > *most);
    Setting {
        name: "CPUs and workers",
        sysctl: false,
        present,
        advised: advised.map(|most| format!("{most} workers")),
        why: "past the quota of its cgroup every worker stands still until the next period, \
              handshakes half done; past the CPUs they wait for each other"
            .to_owned(),
        remedy: None,
    }
}

/// The CPUs this process may run on: `0-3,8` of proc_pid_status(5).
fn allowed(root: &Path) -> Option<usize> {
    let status = fs::read_to_string(root.join("proc/self/status")).ok()?;
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(
            last.parse::<usize>()
                .ok()?
                .checked_sub(first.parse().ok()?)?
                + 1,
        )
    };
    list.trim().split(',').map(count).sum()
}

/// The lowest CPU quota of the process' cgroup and those above it, in CPUs. cgroups(7).
fn quota(root: &Path) -> Option<f64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mut lowest: Option<f64> = None;
    for line in groups.lines() {
        let [_, controllers, path] = line.splitn(3, ':').collect::<Vec<_>>()[..] else {
            continue;
        };
        let (mount, read): (_, fn(&Path) -> Option<f64>) = match controllers {
            "" => ("sys/fs/cgroup", version_2),
            names if names.split(',').any(|name| name == "cpu") => ("sys/fs/cgroup/cpu", version_1),
            _ => continue,
        };
        let mount = root.join(mount);
        let group: PathBuf = mount.join(path.trim_start_matches('/'));
        let above = group.ancestors().take_while(|one| one.starts_with(&mount));
        lowest = above.filter_map(read).chain(lowest).min_by(f64::total_cmp);
    }
    lowest
}

/// `QUOTA PERIOD`, or `max PERIOD`.
fn version_2(group: &Path) -> Option<f64> {
    let text = fs::read_to_string(group.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
}

/// A quota of -1 is none.
fn version_1(group: &Path) -> Option<f64> {
    let number = |file: &str| {
        let text = fs::read_to_string(group.join(file)).ok()?;
        text.trim().parse::<f64>().ok()
    };
    let quota = number("cpu.cfs_quota_us")?;
    (quota > 0.0).then_some(quota / number("cpu.cfs_period_us")?)
}

fn transparent_huge_pages(root: &Path) -> Setting {
    let file = "sys/kernel/mm/transparent_hugepage/enabled";
    let text = fs::read_to_string(root.join(file)).ok();
    // The one in brackets holds: `always [madvise] never`.
    let present = text.and_then(|text| {
        let (_, rest) = text.split_once('[')?;
        Some(rest.split_once(']')?.0.to_owned())
    });
    let always = present.as_deref() == Some("always");
    Setting {
        name: "transparent huge pages",
        sysctl: false,
        advised: always.then(|| "madvise".to_owned()),
        present,
        why: "with always, threads stand still while the kernel makes room for huge pages; \
              explicit ones (vm.nr_hugepages) are for drivers from outside the kernel alone"
            .to_owned(),
        remedy: always.then(|| format!("echo madvise > /{file}")),
    }
}
