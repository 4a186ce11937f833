//! Values with units, and addresses.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::raw;
use crate::config::report::At;

/// Longer than any timeout that is meant, and short enough for clocks to count with.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

pub(super) fn duration(at: &At<'_>, raw: &raw::Duration) -> Duration {
    parse_duration(at, &raw.0, "write a shorter one")
}

/// A duration that can't be zero.
pub(super) fn timeout(at: &At<'_>, raw: &raw::Duration) -> Duration {
    let value = duration(at, raw);
    if value.is_zero() {
        at.error("is no time at all", "write at least 1ms");
    }
    value
}

/// A duration that another one bounds. A default gives way without a word.
pub(super) fn at_most(at: &At<'_>, raw: &raw::Duration, most: Duration, other: &str) -> Duration {
    let value = timeout(at, raw);
    if value > most && at.given() {
        at.error(
            format_args!(
                "is longer than {other} ({})",
                humantime::format_duration(most)
            ),
            format_args!("write at most as much as {other}"),
        );
    }
    value.min(most)
}

pub(super) fn timeout_or_off(at: &At<'_>, raw: &raw::DurationOrOff) -> Option<Duration> {
    if raw.0 == "off" {
        return None;
    }
    let value = parse_duration(at, &raw.0, "write off for no limit");
    if value.is_zero() {
        at.error("is no time at all", "write at least 1ms, or off");
    }
    Some(value)
}

fn parse_duration(at: &At<'_>, text: &str, help: &str) -> Duration {
    match humantime::parse_duration(text.trim()) {
        Ok(value) if value > LONGEST => {
            at.error("is longer than a year", help);
            LONGEST
        }
        Ok(value) => value,
        Err(error) => {
            at.error(
                format_args!("is not a duration ({error})"),
                "write a number with a unit, such as 250ms, 10s or 2m",
            );
            LONGEST
        }
    }
}

pub(super) fn size_or_off(at: &At<'_>, raw: &raw::SizeOrOff) -> Option<u64> {
    match &raw.0 {
        raw::Size::Text(text) if text == "off" => None,
        size => Some(bytes(at, size)),
    }
}

fn bytes(at: &At<'_>, raw: &raw::Size) -> u64 {
    match raw {
        raw::Size::Bytes(bytes) => *bytes,
        raw::Size::Text(text) => match text.parse::<bytesize::ByteSize>() {
            Ok(size) => size.as_u64(),
            Err(error) => {
                at.error(
                    format_args!("is not a size ({error})"),
                    "write a number with a unit, such as 64KiB or 1MiB",
                );
                u64::MAX
            }
        },
    }
}

/// A size within bounds; the lower bound where it is not.
pub(super) fn size<T: TryFrom<u64>>(
    at: &At<'_>,
    raw: &raw::Size,
    bounds: RangeInclusive<u64>,
) -> Option<T> {
    let value = bytes(at, raw);
    if value < *bounds.start() {
        let least = readable(*bounds.start());
        at.error("is too small", format_args!("write at least {least}"));
        return T::try_from(*bounds.start()).ok();
    }
    if value > *bounds.end() {
        let most = readable(*bounds.end());
        at.error("is too large", format_args!("write at most {most}"));
        return T::try_from(*bounds.start()).ok();
    }
    T::try_from(value).ok()
}

fn readable(bytes: u64) -> String {
    match bytes {
        n if n >= 1 << 20 && n % (1 << 20) == 0 => format!("{}MiB", n >> 20),
        n if n >= 1 << 10 && n % (1 << 10) == 0 => format!("{}KiB", n >> 10),
        n => format!("{n}B"),
    }
}

/// An HTTP/2 flow-control window (RFC 9113 6.9.1).
pub(super) fn stream_window(at: &At<'_>, raw: &raw::Size) -> u32 {
    size(at, raw, 1..=(1 << 31) - 1).unwrap_or(u32::MAX)
}

/// A connection's window begins at 65,535 bytes and can only grow (RFC 9113 6.9.2).
pub(super) fn connection_window(at: &At<'_>, raw: &raw::Size, stream_window: u32) -> u32 {
    let window = size(at, raw, 65_535..=(1 << 31) - 1).unwrap_or(u32::MAX);
    if window < stream_window && at.given() {
        at.warn(
            format_args!("is less than one stream's window ({stream_window}B)"),
            "write as much as stream_window, or several times as much",
        );
    }
    window.max(stream_window)
}

/// RFC 9113 6.5.2.
pub(super) fn max_frame_size(at: &At<'_>, raw: &raw::Size) -> u32 {
    size(at, raw, 16_384..=16_777_215).unwrap_or(16_384)
}

pub(super) fn max_header_list_size(at: &At<'_>, raw: &raw::Size) -> u32 {
    size(at, raw, 1024..=16 << 20).unwrap_or(1024)
}

/// An address to listen on.
pub(super) fn listen_address(at: &At<'_>, text: &str) -> SocketAddr {
    match text.parse() {
        Ok(address) => address,
        Err(_) => {
            at.error(
                "is not an IP address with a port",
                format_args!("write {}", nearest_address(text)),
            );
            SocketAddr::from(([0, 0, 0, 0], 0))
        }
    }
}

fn nearest_address(text: &str) -> impl Display {
    if let Ok(address) = text.parse::<IpAddr>() {
        return format!("the port too: {}", SocketAddr::new(address, 8443));
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        && port.parse::<u16>().is_err()
    {
        return format!("a port from 1 to 65535 after {host}");
    }
    let port = text.rsplit(':').next().and_then(|port| port.parse().ok());
    let port: u16 = port.unwrap_or(8443);
    format!("0.0.0.0:{port} for every address, or one such as 127.0.0.1:{port} or [::1]:{port}")
}

/// A DNS server; port 53 if none is given.
pub(super) fn dns_server(at: &At<'_>, text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, 53));
    }
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            at.error(
                "is not an IP address",
                "write one such as 10.96.0.10, 10.96.0.10:53 or [fd00::a]:53",
            );
            None
        }
    }
}

/// A network in CIDR notation; a bare address stands for itself alone.
pub(super) fn network(at: &At<'_>, text: &str) -> Option<ipnet::IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.into());
    }
    match text.parse::<ipnet::IpNet>() {
        Ok(network) => {
            if network.addr() != network.network() {
                at.warn(
                    "has bits set past its prefix",
                    format_args!("write {}", network.trunc()),
                );
            }
            Some(network.trunc())
        }
        Err(_) => {
            at.error(
                "is not a network",
                "write an address with a prefix length, such as 10.0.0.0/8 or fd00::/8",
            );
            None
        }
    }
}
