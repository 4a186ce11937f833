//! What a line of the access log says. JSON by serde_json; text is quoted where a
//! client's value could end a field or the line.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use serde::Serialize;

/// The TLS session a request came over.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TlsRecord<'a> {
    pub version: &'a str,
    pub cipher: &'a str,
    pub sni: Option<&'a str>,
}

/// What is told of one request; absent values are `-` in text and null in JSON.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// When the request's head had been read.
    pub time: SystemTime,
    pub client: std::net::SocketAddr,
    pub method: &'a str,
    pub host: Option<&'a str>,
    /// With the query.
    pub path: &'a str,
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub protocol: &'a str,
    /// None when the client was gone before there was one.
    pub status: Option<u16>,
    pub grpc_status: Option<u16>,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    pub duration: Duration,
    pub route: Option<&'a str>,
    pub cluster: Option<&'a str>,
    pub endpoint: Option<std::net::SocketAddr>,
    pub request_id: Option<&'a str>,
    pub tls: Option<TlsRecord<'a>>,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    time: String,
    client: std::net::SocketAddr,
    method: &'a str,
    host: Option<&'a str>,
    path: &'a str,
    protocol: &'a str,
    status: Option<u16>,
    grpc_status: Option<u16>,
    bytes_in: u64,
    bytes_out: u64,
    duration_ms: f64,
    route: Option<&'a str>,
    cluster: Option<&'a str>,
    endpoint: Option<std::net::SocketAddr>,
    request_id: Option<&'a str>,
    tls: Option<TlsRecord<'a>>,
}

pub(super) fn json(line: &mut Vec<u8>, record: &Record<'_>) -> io::Result<()> {
    let line_of = JsonLine {
        time: humantime::format_rfc3339_millis(record.time).to_string(),
        client: record.client,
        method: record.method,
        host: record.host,
        path: record.path,
        protocol: record.protocol,
        status: record.status,
        grpc_status: record.grpc_status,
        bytes_in: record.bytes_in,
        bytes_out: record.bytes_out,
        duration_ms: milliseconds(record.duration),
        route: record.route,
        cluster: record.cluster,
        endpoint: record.endpoint,
        request_id: record.request_id,
        tls: record.tls,
    };
    serde_json::to_writer(line, &line_of).map_err(io::Error::from)
}

pub(super) fn text(line: &mut Vec<u8>, record: &Record<'_>) -> io::Result<()> {
    write!(
        line,
        "{} {} {} {:?} {:?} {} ",
        humantime::format_rfc3339_millis(record.time),
        record.client,
        Bare(record.method),
        record.host.unwrap_or("-"),
        record.path,
        record.protocol,
    )?;
    or_dash(line, record.status)?;
    line.extend_from_slice(b" grpc=");
    or_dash(line, record.grpc_status)?;
    write!(
        line,
        " in={} out={} ms={:.3} route=",
        record.bytes_in,
        record.bytes_out,
        milliseconds(record.duration)
    )?;
    or_dash(line, record.route.map(Bare))?;
    line.extend_from_slice(b" cluster=");
    or_dash(line, record.cluster.map(Bare))?;
    line.extend_from_slice(b" endpoint=");
    or_dash(line, record.endpoint)?;
    line.extend_from_slice(b" id=");
    or_dash(line, record.request_id.map(Bare))?;
    match record.tls {
        None => line.extend_from_slice(b" tls=- cipher=- sni=-"),
        Some(tls) => {
            write!(line, " tls={} cipher={} sni=", tls.version, tls.cipher)?;
            or_dash(line, tls.sni.map(Bare))?;
        }
    }
    Ok(())
}

/// A value without quotes as long as it needs none.
struct Bare<'a>(&'a str);

impl std::fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if !self.0.is_empty() && self.0.bytes().all(plain) {
            f.write_str(self.0)
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

fn or_dash(line: &mut Vec<u8>, value: Option<impl std::fmt::Display>) -> io::Result<()> {
    match value {
        Some(value) => write!(line, "{value}"),
        None => line.write_all(b"-"),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
