//! Families as a scraper sees them.

use std::time::Duration;

use super::*;

fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines()
        .find(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("no {start} in:\n{text}"))
}

#[test]
fn shards_are_summed() {
    let metrics = Metrics::new("OpenSSL 3");
    let held: Vec<_> = (0..3)
        .map(|n| {
            let shard = metrics.shard();
            let listener = shard.listener("edge");
            let route = shard.route("chat", "llama");
            for _ in 0..=n {
                route.finished(Finished {
                    status: Some(200),
                    grpc_status: Some(0),
                    elapsed: Duration::from_millis(7),
                });
            }
            route.received(10);
            listener.accepted()
        })
        .collect();
    let text = metrics.encode();
    let requests = r#"gateway_route_requests_total{cluster="llama",code="200",route="chat"} "#;
    assert_eq!(line(&text, requests), format!("{requests}6"));
    let active = r#"gateway_listener_connections_active{listener="edge"} "#;
    assert_eq!(line(&text, active), format!("{active}3"));
    let bucket = r#"gateway_route_request_seconds_bucket{cluster="llama",route="chat",le="0.01"} "#;
    assert_eq!(line(&text, bucket), format!("{bucket}6"));
    let bytes = r#"gateway_proxy_request_bytes_total{cluster="llama",route="chat"} "#;
    assert_eq!(line(&text, bytes), format!("{bytes}30"));
    assert_eq!(
        text.matches("# TYPE gateway_route_requests_total").count(),
        1
    );
    drop(held);
    assert_eq!(line(&metrics.encode(), active), format!("{active}0"));
}

#[test]
fn labels_are_bounded() {
    let metrics = Metrics::new("OpenSSL 3");
    let route = metrics.shard().route("r", "c");
    for (status, grpc_status) in [(None, None), (Some(200), Some(17)), (Some(200), Some(999))] {
        route.finished(Finished {
            status,
            grpc_status,
            elapsed: Duration::ZERO,
        });
    }
    let text = metrics.encode();
    line(
        &text,
        r#"gateway_route_requests_total{cluster="c",code="none",route="r"} 1"#,
    );
    line(
        &text,
        r#"gateway_route_grpc_responses_total{cluster="c",grpc_status="other",route="r"} 2"#,
    );
}

#[test]
fn handshakes_have_all_their_labels() {
    let metrics = Metrics::new("OpenSSL 3");
    let listener = metrics.shard().listener("edge");
    let completed = HandshakeLabels {
        outcome: "completed",
        accelerator: "software",
        key_type: "ecdsa",
        version: "TLSv1.3",
        resumed: false,
    };
    let failed = HandshakeLabels {
        outcome: "timeout",
        key_type: "none",
        version: "none",
        ..completed
    };
    listener.handshake_ended(completed, Duration::from_millis(1));
    listener.handshake_ended(failed, Duration::from_secs(10));
    listener.rejected("handshakes_per_client");
    listener.http_begins("h2");
    listener.http_error("headers");
    listener.unmatched();
    let text = metrics.encode();
    line(
        &text,
        "gateway_tls_handshakes_total{accelerator=\"software\",key_type=\"ecdsa\",\
         listener=\"edge\",outcome=\"completed\",resumed=\"false\",version=\"TLSv1.3\"} 1",
    );
    // Only the completed one is timed.
    line(
        &text,
        "gateway_tls_handshake_seconds_count{accelerator=\"software\",listener=\"edge\",\
         resumed=\"false\"} 1",
    );
    line(
        &text,
        "gateway_listener_connections_rejected_total{listener=\"edge\",\
         reason=\"handshakes_per_client\"} 1",
    );
}

#[test]
fn the_process_tells_of_itself() {
    let metrics = Metrics::new("OpenSSL 3.0.19");
    metrics.set_workers(2);
    metrics.set_limit("listener", "edge", "max_connections", 20_000);
    metrics.set_accelerator("software", "active");
    let text = metrics.encode();
    line(
        &text,
        r#"gateway_accelerator_info{accelerator="software",state="active"} 1"#,
    );
    line(
        &text,
        "gateway_build_info{openssl=\"OpenSSL 3.0.19\",version=",
    );
    line(&text, "gateway_workers 2");
    line(
        &text,
        r#"gateway_limit{limit="max_connections",name="edge",section="listener"} 20000"#,
    );
    line(&text, "process_resident_memory_bytes ");
    line(&text, "process_cpu_seconds_total ");
    line(&text, "gateway_access_log_dropped_total 0");
    line(&text, "gateway_config_last_reload_successful 1");
}

#[test]
fn a_cluster_copies_totals_and_never_falls() {
    let metrics = Metrics::new("OpenSSL 3");
    let cluster = metrics.shard().cluster("llama");
    set_total(&cluster.connections, 7);
    set_total(&cluster.connections, 5);
    cluster.pending.set(3);
    let text = metrics.encode();
    line(
        &text,
        r#"gateway_upstream_connections_total{cluster="llama"} 7"#,
    );
    line(
        &text,
        r#"gateway_upstream_pending_requests{cluster="llama"} 3"#,
    );
    line(
        &text,
        r#"gateway_upstream_dns_resolutions_total{cluster="llama",outcome="failure"} 0"#,
    );
}
