//! The process's log: tracing's events, one line each on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::{LogFormat, LogParams};

/// Why a filter is no filter, for the configuration's error messages.
pub fn check_filter(filter: &str) -> Result<(), String> {
    EnvFilter::builder()
        .parse(filter)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Sends tracing's events to standard error from now on.
///
/// Only the first call of a process counts: tests and library users may have a
/// subscriber already, and theirs stays. A filter that does not parse gives `info`;
/// the configuration has refused it before.
pub fn init(params: &LogParams) {
    let parsed = EnvFilter::builder().parse(&params.filter);
    let invalid = parsed.is_err();
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_writer(io::stderr);
    let installed = match params.format {
        LogFormat::Text => builder
            .with_ansi(io::stderr().is_terminal())
            .finish()
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    };
    if installed.is_ok() && invalid {
        tracing::warn!(
            filter = params.filter,
            "log filter does not parse: using info"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::AccessLog;
    use super::*;

    #[test]
    fn a_second_init_is_ignored() {
        for format in [LogFormat::Text, LogFormat::Json] {
            init(&LogParams {
                filter: "off".into(), // other tests of this process would be loud
                format,
                access: AccessLog::Off,
            });
        }
    }

    #[test]
    fn filters_are_checked() {
        for good in ["info", "warn,qat_gateway::tls=trace", "off"] {
            assert!(check_filter(good).is_ok(), "{good}");
        }
        for bad in ["qat_gateway=loud", "a=b=c", "[unclosed=info"] {
            assert!(check_filter(bad).is_err(), "{bad}");
        }
    }
}
