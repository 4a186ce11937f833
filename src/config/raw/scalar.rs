//! Values with a unit, and values that can be switched off.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

const DURATION: &str = r"^([0-9]+(\.[0-9]+)? ?(ms|s|m|h|d) ?)+$";
const SIZE: &str = r"^[0-9]+ ?([KMGT]i?)?B$";

/// `250ms`, `10s`, `1h 30m`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub(in crate::config) struct Duration(pub(in crate::config) String);

/// A duration, or `off`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub(in crate::config) struct DurationOrOff(pub(in crate::config) String);

/// `64KiB`, `1MB`, or a number of bytes.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub(in crate::config) enum Size {
    Bytes(u64),
    Text(String),
}

/// A size, or `off`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub(in crate::config) struct SizeOrOff(pub(in crate::config) Size);

/// `auto`, or a number of threads.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(in crate::config) enum Workers {
    Count(usize),
    Auto(Auto),
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Auto {
    Auto,
}

impl Default for Workers {
    fn default() -> Self {
        Workers::Auto(Auto::Auto)
    }
}

/// `off`, or the settings.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum Switch<T> {
    Off(Off),
    On(T),
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum Off {
    Off,
}

impl<T> Switch<T> {
    pub(in crate::config) fn off() -> Self {
        Switch::Off(Off::Off)
    }
}

macro_rules! scalar_schema {
    ($type:ty, $name:literal, $schema:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

scalar_schema!(
    Duration,
    "duration",
    json_schema!({
        "title": "duration",
        "description": "Numbers with units: ms, s, m, h, d.",
        "type": "string",
        "pattern": DURATION,
        "examples": ["250ms", "10s", "2m"],
    })
);

scalar_schema!(
    DurationOrOff,
    "duration_or_off",
    json_schema!({
        "title": "duration",
        "description": "Numbers with units (ms, s, m, h, d), or off.",
        "type": "string",
        "pattern": format!("^off$|{DURATION}"),
        "examples": ["250ms", "10s", "2m", "off"],
    })
);

scalar_schema!(
    Size,
    "size",
    json_schema!({
        "title": "size",
        "description": "A number with a unit (B, KB, KiB, MB, MiB, GB, GiB), or of bytes.",
        "type": ["string", "integer"],
        "pattern": SIZE,
        "minimum": 0,
        "maximum": 1u64 << 50,
        "examples": ["64KiB", "1MiB", 65536],
    })
);

scalar_schema!(
    SizeOrOff,
    "size_or_off",
    json_schema!({
        "title": "size",
        "description": "A number with a unit (B, KB, KiB, MB, MiB, GB, GiB), of bytes, or off.",
        "type": ["string", "integer"],
        "pattern": format!("^off$|{SIZE}"),
        "minimum": 0,
        "maximum": 1u64 << 50,
        "examples": ["64KiB", "1MiB", 65536, "off"],
    })
);

scalar_schema!(
    Workers,
    "workers",
    json_schema!({
        "title": "number of threads",
        "type": ["string", "integer"],
        "pattern": "^auto$",
        "minimum": 1,
        "maximum": 1024,
        "examples": ["auto", 4],
    })
);

// Defaults, as serde's attributes can name them.

pub(super) fn integer<const N: u32>() -> u32 {
    N
}

pub(super) fn milliseconds<const N: u64>() -> Duration {
    Duration(format!("{N}ms"))
}

pub(super) fn seconds<const N: u64>() -> Duration {
    Duration(format!("{N}s"))
}

pub(super) fn minutes<const N: u64>() -> Duration {
    Duration(format!("{N}m"))
}

pub(super) fn kib<const N: u64>() -> Size {
    Size::Text(format!("{N}KiB"))
}

pub(super) fn mib<const N: u64>() -> Size {
    Size::Text(format!("{N}MiB"))
}

pub(super) fn yes() -> bool {
    true
}

pub(super) fn hours<const N: u64>() -> Duration {
    Duration(format!("{N}h"))
}
