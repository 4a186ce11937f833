//! The kernel's network settings, held against what the configuration asks of them.
//!
//! Advice is given only where a setting costs this gateway speed; a setting that people
//! look for and the gateway does not depend on says so.

use std::fs;
use std::path::Path;

use super::needs::Needs;
use super::report::Setting;

/// All of them, in the order in which a connection meets them.
pub fn sysctls(root: &Path, needs: &Needs) -> Vec<Setting> {
    let keys = Keys { root };
    let mut settings = queues(&keys, needs);
    settings.extend(buffers(&keys, needs));
    settings.extend(pace(&keys));
    settings.push(keys.setting(
        "net.ipv4.ip_local_port_range",
        format!(
            "workers times pool.max_connections, {} connections, may go to one backend, each \
             from a port of its own",
            needs.per_endpoint
        ),
        |range| {
            let bounds: Vec<u64> = range.split(' ').flat_map(str::parse).collect();
            let [low, high] = bounds[..] else { return None };
            (high.saturating_sub(low) < needs.per_endpoint).then(|| "10240 65535".to_owned())
        },
    ));
    settings
}

fn queues(keys: &Keys<'_>, needs: &Needs) -> Vec<Setting> {
    let backlog = u64::from(needs.backlog);
    vec![
        keys.setting(
            "net.core.somaxconn",
            format!(
                "the kernel cuts each listener's backlog ({backlog}) to it without a word \
                 (listen(2)); clients past it wait a second or more"
            ),
            at_least(backlog),
        ),
        keys.setting(
            "net.ipv4.tcp_max_syn_backlog",
            format!(
                "handshakes of TCP in progress; with fewer than the backlog ({backlog}) a burst \
                 of clients is dropped, or loses TCP's options to SYN cookies"
            ),
            at_least(backlog),
        ),
        keys.setting(
            "net.ipv4.tcp_fastopen",
            "the gateway does not ask for it: a TLS client rarely can use it".to_owned(),
            |_| None,
        ),
    ]
}

fn buffers(keys: &Keys<'_>, needs: &Needs) -> Vec<Setting> {
    let received = needs.connection_window.saturating_mul(2);
    // As much as the kernel takes by default on a machine with enough memory.
    let sent = 4 << 20;
    let unset = "caps sizes that a program sets itself; the gateway sets none, and the kernel's \
                 tuning goes by";
    vec![
        keys.setting("net.core.rmem_max", format!("{unset} tcp_rmem"), |_| None),
        keys.setting("net.core.wmem_max", format!("{unset} tcp_wmem"), |_| None),
        keys.setting(
            "net.ipv4.tcp_rmem",
            format!(
                "its third value should hold twice the largest http.connection_window ({} KiB), \
                 or uploads are slower than HTTP/2 would let them",
                needs.connection_window >> 10
            ),
            third_at_least(received),
        ),
        keys.setting(
            "net.ipv4.tcp_wmem",
            "its third value is the most that a client's connection, with all its streams, \
             sends in a round trip"
                .to_owned(),
            third_at_least(sent),
        ),
        keys.setting(
            "net.ipv4.tcp_notsent_lowat",
            "without it megabytes of one response queue in the kernel before the next stream's \
             token; memory of slow clients falls too"
                .to_owned(),
            at_most(128 << 10),
        ),
    ]
}

fn pace(keys: &Keys<'_>) -> Vec<Setting> {
    let known = keys.read("net.ipv4.tcp_available_congestion_control");
    let bbr = known.is_some_and(|known| known.split(' ').any(|name| name == "bbr"));
    let why = match bbr {
        true => "bbr keeps its speed on lossy paths to clients, where cubic and reno slow down",
        false => "bbr is better on lossy paths to clients; it is not loaded (modprobe tcp_bbr)",
    };
    vec![
        keys.setting(
            "net.ipv4.tcp_congestion_control",
            why.to_owned(),
            |present| (bbr && present != "bbr").then(|| "bbr".to_owned()),
        ),
        keys.setting(
            "net.ipv4.tcp_slow_start_after_idle",
            "connections to backends and clients are long-lived: at 1 each starts slowly again \
             after a pause"
                .to_owned(),
            at_most(0),
        ),
    ]
}

/// The keys of sysctl(8), below `/proc/sys`.
struct Keys<'a> {
    root: &'a Path,
}

impl Keys<'_> {
    fn read(&self, name: &str) -> Option<String> {
        let path = self.root.join("proc/sys").join(name.replace('.', "/"));
        let text = fs::read_to_string(path).ok()?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// `advise` gets the present value, and says None if it is good.
    fn setting(
        &self,
        name: &'static str,
        why: String,
        advise: impl FnOnce(&str) -> Option<String>,
    ) -> Setting {
        let present = self.read(name);
        let advised = present.as_deref().and_then(advise);
        let remedy = advised.as_ref();
        let remedy = remedy.map(|value| format!("sysctl -w {name}='{value}'"));
        Setting {
            name,
            sysctl: true,
            present,
            advised,
            why,
            remedy,
        }
    }
}

fn at_least(least: u64) -> impl FnOnce(&str) -> Option<String> {
    move |present| (present.parse::<u64>().ok()? < least).then(|| least.to_string())
}

fn at_most(most: u64) -> impl FnOnce(&str) -> Option<String> {
    move |present| (present.parse::<u64>().ok()? > most).then(|| most.to_string())
}

/// The third of the minimum, default and maximum of tcp(7)'s buffer sizes.
fn third_at_least(least: u64) -> impl FnOnce(&str) -> Option<String> {
    move |present| {
        let (others, third) = present.rsplit_once(' ')?;
        (third.parse::<u64>().ok()? < least).then(|| format!("{others} {least}"))
    }
}
