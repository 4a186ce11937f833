//! The access log, written and read back.

use std::net::SocketAddr;
use std::time::SystemTime;

use super::*;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn record() -> Record<'static> {
    Record {
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        client: address("192.0.2.1:4711"),
        method: "POST",
        host: Some("api.example.com"),
        path: "/v1/chat?x=\"\nforged",
        protocol: "HTTP/2.0",
        status: Some(200),
        grpc_status: Some(0),
        bytes_in: 12,
        bytes_out: 3456,
        duration: Duration::from_micros(1500),
        route: Some("chat"),
        cluster: Some("llama"),
        endpoint: Some(address("10.0.0.1:8001")),
        request_id: Some("abc"),
        tls: Some(TlsRecord {
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            sni: Some("api.example.com"),
        }),
    }
}

fn params(path: &Path, format: LogFormat) -> LogParams {
    LogParams {
        filter: "info".into(),
        format,
        access: AccessLog::File(path.to_owned()),
    }
}

fn counter() -> IntCounter {
    IntCounter::new("dropped", "dropped").expect("a valid name")
}

#[test]
fn off_is_nothing() {
    let mut off = params(Path::new("/nowhere"), LogFormat::Text);
    off.access = AccessLog::Off;
    assert!(start(&off, counter()).expect("started").is_none());
}

#[test]
fn text_is_one_line_whatever_the_client_sends() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("access.log");
    let (sink, writer) = start(&params(&path, LogFormat::Text), counter())
        .expect("started")
        .expect("on");
    sink.log(&record());
    let mut bare = record();
    (bare.status, bare.grpc_status, bare.tls, bare.endpoint) = (None, None, None, None);
    bare.request_id = Some("two words");
    sink.log(&bare);
    writer.finish();
    let log = std::fs::read_to_string(&path).expect("a log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(
        lines[0],
        "2023-11-14T22:13:20.123Z 192.0.2.1:4711 POST \"api.example.com\" \
         \"/v1/chat?x=\\\"\\nforged\" HTTP/2.0 200 grpc=0 in=12 out=3456 ms=1.500 \
         route=chat cluster=llama endpoint=10.0.0.1:8001 id=abc tls=TLSv1.3 \
         cipher=TLS_AES_128_GCM_SHA256 sni=api.example.com"
    );
    assert!(lines[1].ends_with("endpoint=- id=\"two words\" tls=- cipher=- sni=-"));
    assert_eq!(lines.len(), 2);
}

#[test]
fn json_keeps_every_value_and_reopens() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("access.log");
    let (sink, writer) = start(&params(&path, LogFormat::Json), counter())
        .expect("started")
        .expect("on");
    sink.log(&record());
    writer.finish();
    std::fs::rename(&path, folder.path().join("old.log")).expect("renamed");
    writer.reopen();
    sink.log(&record());
    writer.finish();
    let log = std::fs::read_to_string(&path).expect("a log");
    let line: serde_json::Value = serde_json::from_str(&log).expect("one JSON line");
    assert_eq!(line["path"], record().path);
    assert_eq!(line["duration_ms"], 1.5);
    assert_eq!(line["tls"]["sni"], "api.example.com");
    assert_eq!(line["client"], "192.0.2.1:4711");
}

#[test]
fn a_full_queue_drops_and_counts() {
    let (queue, lines) = sync_channel(1);
    let sink = AccessSink {
        queue,
        dropped: counter(),
        format: LogFormat::Text,
    };
    sink.log(&record());
    sink.log(&record());
    sink.log(&record());
    assert_eq!(sink.dropped.get(), 2);
    drop(lines);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error() {
    let bad = params(Path::new("/proc/nowhere/access.log"), LogFormat::Text);
    assert!(start(&bad, counter()).is_err());
}
