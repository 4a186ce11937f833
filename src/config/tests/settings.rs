//! Good and bad values of every setting, each bad one with words of what is said.

use serde_json::{Value, json};

pub(super) struct Row {
    pub(super) path: &'static str,
    pub(super) good: Vec<Value>,
    pub(super) bad: Vec<(Value, &'static str)>,
}

macro_rules! row {
    ($path:literal, [$($good:tt),*], [$($bad:tt => $words:literal),* $(,)?]) => {
        Row {
            path: $path,
            good: vec![$(json!($good)),*],
            bad: vec![$((json!($bad), $words)),*],
        }
    };
}

/// A duration that must be longer than nothing.
macro_rules! timeout {
    ($path:literal) => {
        row!($path, ["1ms", "10s", "1h 30m", "1.5s"], [
            "0s" => "no time at all",
            "10 parsecs" => "is not a duration",
            "off" => "is not a duration",
            10 => "has no unit; write 10s",
            "9999d" => "longer than a year",
            true => "is a boolean",
        ])
    };
}

macro_rules! timeout_or_off {
    ($path:literal) => {
        row!($path, ["off", "250ms", "2m"], [
            "0s" => "no time at all",
            "of" => "such as 250ms, 10s, 2m or off",
            5 => "has no unit",
            "99999999999999999999h" => "is not a duration",
        ])
    };
}

macro_rules! boolean {
    ($path:literal) => {
        row!($path, [true, false], ["yes" => "write true or false", 1 => "is a number"])
    };
}

macro_rules! count {
    ($path:literal, $least:literal) => {
        row!($path, [100, 20000], [
            (-1) => "is too small",
            ($least - 1) => "is too small",
            1.5 => "is a number",
            "many" => "write a whole number",
            99999999999999999999.0 => "is too large",
        ])
    };
}

macro_rules! window {
    ($path:literal, $good:literal) => {
        row!($path, [$good, "1MiB", 100000, "128 KiB"], [
            "2GiB" => "is too large",
            0 => "is too small",
            "12 potatoes" => "is not a size",
            "1KIB" => "is not a size",
            "off" => "is not a size",
        ])
    };
}

macro_rules! frame {
    ($path:literal) => {
        row!($path, ["16KiB", 16777215], ["15KiB" => "write at least 16KiB", "16MiB" => "too large"])
    };
}

macro_rules! file {
    ($path:literal, $good:literal, $words:literal) => {
        row!($path, [$good], [
            "certs/none.pem" => "doesn't exist",
            "certs" => "is not a PEM file",
            "" => "is empty",
            5 => "is a number",
            $words => "no ",
        ])
    };
}

macro_rules! section {
    ($path:literal, $good:tt) => {
        row!($path, [$good], ["on" => "write ", [1] => "is a list", { "nonsense": 1 } => "unknown"])
    };
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = process();
    rows.extend(acceleration());
    rows.extend(telemetry());
    rows.extend(listener());
    rows.extend(http());
    rows.extend(tls());
    rows.extend(routes());
    rows.extend(clusters());
    rows.extend(pool());
    rows
}

fn process() -> Vec<Row> {
    vec![
        row!("workers", [1, "auto", 64], [0 => "at least 1", "two" => "auto or 4", 5000 => "at most 1024"]),
        section!("admin", {}),
        row!("admin.address", ["127.0.0.1:9901", "[::1]:9901"], [
            "127.0.0.1" => "the port too: 127.0.0.1:8443",
            "localhost:1" => "write 0.0.0.0:1",
            "127.0.0.1:8443" => "is taken by listeners[0].address (line ",
        ]),
        section!("acceleration", {}),
        row!("acceleration.prefer", [[], ["multibuffer", "qat_provider"]], [
            ["qat"] => "qat_engine, qat_provider or multibuffer",
            ["multibuffer", "multibuffer"] => "stands twice",
        ]),
        boolean!("acceleration.require"),
    ]
}

fn acceleration() -> Vec<Row> {
    vec![
        row!("acceleration.offload", ["auto", ["rsa"], ["x25519", "rsa"], ["ecdsa"]], [
            "all" => "auto",
            ["ecdh"] => "rsa, x25519 or ecdsa",
            ["rsa", "rsa"] => "stands twice",
        ]),
        row!("acceleration.break_even", ["auto", 1, 24], [0 => "at least 1", "some" => "auto or 4"]),
        row!("acceleration.completion", ["callback", "fd"], ["poll" => "callback or fd"]),
        section!("acceleration.breaker", {}),
        count!("acceleration.breaker.failures", 1),
        count!("acceleration.breaker.queue_full", 1),
        timeout!("acceleration.breaker.window"),
        timeout!("acceleration.breaker.stuck_after"),
        row!("acceleration.breaker.open_for", ["1ms", "5s", "2h"], ["0s" => "no time at all"]),
        row!("acceleration.breaker.open_at_most", ["60s", "5s"], ["1s" => "is shorter than open_for"]),
        section!("acceleration.qat_engine", {}),
        row!("acceleration.qat_engine.id", ["qatengine"], ["" => "is empty"]),
        row!("acceleration.qat_engine.library", ["/usr/lib/qatengine.so"], ["" => "is empty"]),
        row!(
            "acceleration.qat_engine.polling",
            ["internal", "external", "heuristic", "event_driven"],
            ["busy" => "internal"]
        ),
        row!("acceleration.qat_engine.poll_interval", ["1ms", "10s"], [
            "0s" => "no time at all",
            "often" => "is not a duration",
            10 => "write a number with a unit",
        ]),
        row!("acceleration.qat_engine.hardware_algorithms", ["0x21"], ["rsa" => ""]),
        row!("acceleration.qat_engine.software_algorithms", ["0xF"], ["21" => ""]),
        row!("acceleration.qat_engine.section", ["SHIM"], ["" => "is empty"]),
        boolean!("acceleration.qat_engine.software_fallback"),
        section!("acceleration.qat_provider", {}),
        row!("acceleration.qat_provider.name", ["qatprovider"], ["" => "is empty"]),
        row!("acceleration.qat_provider.folder", ["modules"], ["" => "is empty"]),
        row!("acceleration.qat_provider.properties", ["provider=x"], ["" => "is empty"]),
        section!("acceleration.multibuffer", {}),
        row!("acceleration.multibuffer.library", ["lib", "/usr/lib/libcrypto_mb.so.11"], ["" => "is empty"]),
        row!("acceleration.multibuffer.queue", [8, 1024], [7 => "too small"]),
    ]
}

fn telemetry() -> Vec<Row> {
    vec![
        section!("log", {}),
        row!("log.filter", ["info", "warn,qat_gateway::tls=trace"], ["info=x=y" => "is not a filter"]),
        row!("log.format", ["text", "json"], ["jsn" => "did you mean json?"]),
        row!("log.access", ["off", "stdout", "access.log"], [
            "nowhere/access.log" => "in a folder that doesn't exist",
            "certs" => "is a folder",
            "" => "is empty",
        ]),
        section!("drain", {}),
        row!("drain.grace", ["0s", "5s"], ["soon" => "is not a duration"]),
        row!("drain.timeout", ["0s", "1m"], [30 => "has no unit"]),
        section!("reload", {}),
        timeout_or_off!("reload.interval"),
        timeout!("reload.timeout"),
        section!("dns", {}),
        row!("dns.servers", [[], ["10.0.0.10", "[fd00::a]:5353"]], [
            ["dns.example.com"] => "is not an IP address",
            "10.0.0.10" => "write a list",
        ]),
        row!("dns.min_ttl", ["1s", "5m"], ["6m" => "longer than max_ttl (5m)", "0s" => "no time"]),
        timeout!("dns.max_ttl"),
        timeout!("dns.timeout"),
        row!("listeners", [[{ "name": "a", "address": "[::]:1", "routes": [{ "cluster": "backend" }] }]], [
            [] => "is empty",
            { "name": "a" } => "is a mapping",
        ]),
        row!("clusters", [[{ "name": "backend", "endpoints": ["a.b:1"] }]], [[] => "is empty", "a" => "is text"]),
    ]
}

fn listener() -> Vec<Row> {
    vec![
        row!("listeners[0].name", ["a b"], ["" => "is empty", 8443 => "is a number"]),
        row!("listeners[0].address", ["0.0.0.0:443", "[::]:0"], [
            8443 => "such as 0.0.0.0:8443",
            ":8443" => "write 0.0.0.0:8443",
            "1.2.3.4:99999" => "write a port from 1 to 65535 after 1.2.3.4",
            "[::1]:https" => "write a port from 1 to 65535 after [::1]",
        ]),
        row!("listeners[0].backlog", [1, 65535], [0 => "at least 1", 65536 => "at most 65535"]),
        row!("listeners[0].max_connections", [5000], [0 => "at least 1", "20k" => "whole number"]),
        count!("listeners[0].max_handshakes", 1),
        row!("listeners[0].max_handshakes_per_client", [1, 512], [
            0 => "at least 1",
            513 => "more than max_handshakes (512)",
        ]),
        row!("listeners[0].overload", ["queue", "shed"], ["drop" => "write queue or shed"]),
        timeout!("listeners[0].handshake_timeout"),
        timeout_or_off!("listeners[0].tcp_keepalive"),
        section!("listeners[0].proxy_protocol", { "trusted": ["fd00::/8"] }),
        row!("listeners[0].proxy_protocol.trusted", [["10.0.0.0/8", "192.0.2.1", "fd00::/8"]], [
            [] => "is empty",
            ["10.0.0.0/33"] => "is not a network",
            ["localhost"] => "is not a network",
        ]),
        timeout!("listeners[0].proxy_protocol.timeout"),
        section!("listeners[0].forwarding", {}),
        row!("listeners[0].forwarding.x_forwarded", ["off", "append", "replace"], ["on" => "write off, append or replace"]),
        row!("listeners[0].forwarding.forwarded", ["off", "append", "replace"], [true => "write off, append or replace"]),
        boolean!("listeners[0].forwarding.trust_request_id"),
        row!("listeners[0].forwarding.identity_header", ["off", "X-Who"], [
            "a b" => "no header's name",
            "Connection" => "the gateway's own business",
        ]),
    ]
}

fn http() -> Vec<Row> {
    vec![
        section!("listeners[0].http", {}),
        timeout!("listeners[0].http.idle_timeout"),
        timeout!("listeners[0].http.header_timeout"),
        row!("listeners[0].http.max_headers", [1, 1000], [0 => "at least 1", 100000 => "at most 65535"]),
        row!("listeners[0].http.upgrade", ["refuse", "tunnel"], ["Tunnel" => "did you mean tunnel?"]),
        count!("listeners[0].http.max_concurrent_streams", 1),
        window!("listeners[0].http.stream_window", "1KiB"),
        row!("listeners[0].http.connection_window", ["64KiB", 65535], ["32KiB" => "at least 65535B", "4GiB" => "too large"]),
        frame!("listeners[0].http.max_frame_size"),
        row!("listeners[0].http.max_header_list_size", ["16KiB"], ["100B" => "at least 1KiB", "1GiB" => "at most 16MiB"]),
        row!("listeners[0].http.max_send_buffer", ["1MiB", "1GiB"], [0 => "at least 1KiB", "1TiB" => "too large"]),
        row!("listeners[0].http.ping_keepalive", ["off", {}], [
            "of" => "write off or a mapping",
            true => "write off or a mapping",
            { "intervall": "1s" } => "did you mean interval?",
        ]),
        timeout!("listeners[0].http.ping_keepalive.interval"),
        timeout!("listeners[0].http.ping_keepalive.timeout"),
        row!("listeners[0].http.max_requests_per_connection", [0, 1000], [(-1) => "too small", "off" => "whole number"]),
    ]
}

fn tls() -> Vec<Row> {
    vec![
        section!("listeners[0].tls", { "certificates": [{ "certificate_chain": "certs/edge.pem", "private_key": "certs/edge.key" }] }),
        row!("listeners[0].tls.certificates", [[{ "certificate_chain": "certs/gateway.pem", "private_key": "certs/gateway.key" }]], [[] => "is empty", ["certs/edge.pem"] => "is text", "x" => "is text"]),
        file!(
            "listeners[0].tls.certificates[0].certificate_chain",
            "certs/edge.pem",
            "certs/edge.key"
        ),
        file!(
            "listeners[0].tls.certificates[0].private_key",
            "certs/edge.key",
            "certs/edge.pem"
        ),
        row!("listeners[0].tls.certificates[0].names", [["*.example.com", "EXAMPLE.com"]], [
            [] => "is empty",
            ["a.*.com"] => "write * only as the whole first label",
            ["a.com:443"] => "without a port",
            ["bücher.de"] => "xn--",
        ]),
        row!("listeners[0].tls.minimum_version", ["1.2", "1.3"], [
            1.2 => "in quotes: \"1.2\"",
            "1.1" => "write 1.2 or 1.3",
            "TLSv1.2" => "write 1.2 or 1.3",
        ]),
        row!("listeners[0].tls.maximum_version", ["1.2", "1.3"], ["1.4" => "write 1.2 or 1.3"]),
        row!("listeners[0].tls.cipher_list", ["ECDHE+AESGCM", "HIGH:!aNULL"], [
            "NONSENSE" => "no cipher list that OpenSSL accepts",
            "A\u{0}B" => "no cipher list",
            "TLS_AES_128_GCM_SHA256" => "write them in cipher_suites",
        ]),
        row!("listeners[0].tls.cipher_suites", ["TLS_AES_128_GCM_SHA256"], ["TLS_NO" => "doesn't know", "" => "doesn't know"]),
        row!("listeners[0].tls.groups", [["X25519"], ["P-256", "ffdhe2048"], ["X25519MLKEM768", "X25519"]], [
            [] => "is empty",
            ["X25591"] => "did you mean X25519?",
            ["X25519", "X25519"] => "stands twice",
            ["X25519:P-256"] => "is no key-exchange group",
            [5] => "is a number",
        ]),
        boolean!("listeners[0].tls.prefer_client_ciphers"),
        row!("listeners[0].tls.alpn", [["h2"], ["http/1.1", "h2"]], [
            ["h3"] => "write h2 or http/1.1",
            [] => "is empty",
            ["h2", "h2"] => "stands twice",
        ]),
        row!("listeners[0].tls.session_tickets", [true, false, {}], ["on" => "true or false", 2 => "is a number"]),
        row!("listeners[0].tls.session_tickets.count", [0, 2], [17 => "at most 16", (-1) => "too small"]),
        row!("listeners[0].tls.session_tickets.lifetime", ["1s", "7d"], ["8d" => "at most 7d", "5ms" => "at least 1s"]),
        row!("listeners[0].tls.session_tickets.keys", [[]], [
            ["none.key"] => "doesn't exist",
            ["certs"] => "is not a key file",
            ["certs/edge.pem"] => "not the 80 of a session-ticket key",
            "certs/edge.key" => "write a list",
        ]),
        boolean!("listeners[0].tls.strict_sni"),
        section!("listeners[0].tls.client_certificates", {}),
        row!("listeners[0].tls.client_certificates.mode", ["off", "optional", "required"], ["on" => "off, optional or required"]),
        file!(
            "listeners[0].tls.client_certificates.ca_file",
            "certs/clients-ca.pem",
            "certs/edge.key"
        ),
        row!("listeners[0].tls.client_certificates.depth", [0, 5], [101 => "at most 100"]),
    ]
}

fn routes() -> Vec<Row> {
    vec![
        row!("listeners[0].routes", [[{ "cluster": "backend" }]], [[] => "is empty", {} => "is a mapping"]),
        row!("listeners[0].routes[0].name", ["llama"], ["" => "is empty", ["a"] => "is a list"]),
        section!("listeners[0].routes[0].match", { "host": "a.com" }),
        row!("listeners[0].routes[0].match.host", ["*", "*.example.com", "A.com", "10.0.0.1", "[::1]", "my_svc"], [
            "a.com:8443" => "without a port",
            "https://a.com" => "without a scheme",
            "*.*.com" => "write * only",
            "a.com." => "without the dot",
            "a b" => "is not a host name",
            "" => "is empty",
        ]),
        row!("listeners[0].routes[0].match.path", ["/", "/v2/models", "/a%20b"], [
            "v2" => "write /v2",
            "/v2?x=1" => "write /v2",
            "/a b" => "percent-encoded",
            "" => "paths begin with /",
        ]),
        row!("listeners[0].routes[0].match.path_prefix", ["/", "/v2/"], ["v2/" => "write /v2/", "/ü" => "percent-encoded"]),
        row!("listeners[0].routes[0].match.methods", [["GET"], ["POST", "PURGE"]], [
            ["get"] => "write GET",
            ["G T"] => "is not a method",
            [] => "is empty",
            "GET" => "write a list",
        ]),
        row!("listeners[0].routes[0].match.headers", [{ "x-a": "1", "x-b": { "present": true } }], [
            { "a b": "x" } => "no header's name",
            { ":path": "x" } => "a match has host, path and methods",
            { "Host": "x" } => "write match.host",
            { "X-A": "1", "x-a": "2" } => "again",
            { "x-a": 1 } => "write text or a mapping",
            { "x-a": " 1" } => "without spaces",
            { "x-a": {} } => "says nothing",
        ]),
        row!("listeners[0].routes[0].match.headers.x-name.prefix", ["a"], ["" => "is empty", 1 => "is a number"]),
        row!("listeners[0].routes[0].match.headers.x-name.present", [true], [false => "write true", "y" => "true or false"]),
        row!("listeners[0].routes[0].cluster", ["backend"], ["backends" => "did you mean backend?", "" => "is empty"]),
        row!("listeners[0].routes[0].rewrite", ["/", "/x"], ["x" => "begins with /", "/x?y" => "without query"]),
        timeout_or_off!("listeners[0].routes[0].timeout"),
        timeout_or_off!("listeners[0].routes[0].idle_timeout"),
        row!("listeners[0].routes[0].max_body", ["off", 0, "10MiB"], ["big" => "is not a size", (-1) => "too small"]),
        section!("listeners[0].routes[0].request_headers", {}),
        row!("listeners[0].routes[0].request_headers.set", [{ "x-a": "1" }], [
            { "Content-Length": "0" } => "the gateway's own business",
            { "x-a": "a\nb" } => "visible ASCII",
            { "x-a": 1 } => "in quotes",
        ]),
        row!("listeners[0].routes[0].request_headers.add", [{ "x-a": "1" }], [{ "": "1" } => "no header's name"]),
        row!("listeners[0].routes[0].request_headers.remove", [["x-a"]], [["te"] => "own business", "x" => "is text"]),
        section!("listeners[0].routes[0].response_headers", {}),
        row!("listeners[0].routes[0].response_headers.set", [{ "x-a": "1" }], [{ "upgrade": "x" } => "own business"]),
        row!("listeners[0].routes[0].response_headers.add", [{ "x-a": "" }], [["x-a"] => "is a list"]),
        row!("listeners[0].routes[0].response_headers.remove", [["server"]], [["é"] => "no header's name"]),
        section!("listeners[0].routes[0].retry", {}),
        row!("listeners[0].routes[0].retry.attempts", [0, 10], [11 => "at most 10"]),
        boolean!("listeners[0].routes[0].retry.on_connection_failure"),
        row!("listeners[0].routes[0].retry.buffer", [0, "1MiB"], ["1GiB" => "at most 64MiB", "x" => "is not a size"]),
    ]
}

fn clusters() -> Vec<Row> {
    vec![
        row!("clusters[0].name", ["backend"], ["" => "is empty", 5 => "is a number"]),
        row!("clusters[0].protocol", ["h2c", "http1"], ["h2" => "did you mean h2c?", "http/1.1" => "write h2c or http1"]),
        section!("clusters[0].tls", {}),
        file!(
            "clusters[0].tls.ca_file",
            "certs/backends-ca.pem",
            "certs/edge.key"
        ),
        row!("clusters[0].tls.server_name", ["a.b", "10.0.0.1"], ["a:1" => "without a port", "" => "is empty"]),
        boolean!("clusters[0].tls.verify"),
        file!(
            "clusters[0].tls.certificate_chain",
            "certs/gateway.pem",
            "certs/edge.key"
        ),
        file!(
            "clusters[0].tls.private_key",
            "certs/gateway.key",
            "certs/edge.pem"
        ),
        row!("clusters[0].endpoints", [["10.0.0.1:1", "[::1]:1", "a.b:1", "localhost:80"]], [
            [] => "is empty",
            ["10.0.0.1"] => "as in 10.0.0.1:8001",
            ["::1"] => "as in [::1]:8001",
            ["a.b"] => "as in a.b:8001",
            ["a.b:0"] => "is not an endpoint",
            ["1.2.3.4:0"] => "has port 0",
            ["1.2.3.400:1"] => "is not an endpoint",
            ["https://a.b:1/x"] => "write a.b:1 without the scheme, and give the cluster tls",
            ["a.b:1", "A.b:1"] => "stands twice",
        ]),
        row!("clusters[0].balancer", ["round_robin", "least_request", "random"], ["round-robin" => "did you mean round_robin?"]),
        timeout!("clusters[0].connect_timeout"),
        section!("clusters[0].pool", {}),
        row!("clusters[0].retry_budget", ["off", {}, { "burst": 1 }], [
            "none" => "write off or a mapping",
            { "percent": 0, "per_second": 0 } => "is never filled again",
        ]),
        row!("clusters[0].retry_budget.percent", [0, 100], [101 => "at most 100", "20%" => "whole number"]),
        count!("clusters[0].retry_budget.per_second", 0),
        count!("clusters[0].retry_budget.burst", 1),
    ]
}

fn pool() -> Vec<Row> {
    vec![
        row!("clusters[0].pool.warm_up", [0, 100], [101 => "more than max_connections (100)"]),
        count!("clusters[0].pool.max_connections", 1),
        row!("clusters[0].pool.max_requests_per_connection", [0, 1000], ["off" => "whole number"]),
        count!("clusters[0].pool.max_concurrent_streams", 1),
        count!("clusters[0].pool.max_pending_requests", 0),
        timeout!("clusters[0].pool.pending_timeout"),
        timeout!("clusters[0].pool.idle_timeout"),
        row!("clusters[0].pool.tcp_keepalive", ["off", {}], ["on" => "write off or a mapping"]),
        row!("clusters[0].pool.tcp_keepalive.time", ["30s"], ["1500ms" => "whole seconds", "0s" => "no time", "12h" => "write whole"]),
        row!("clusters[0].pool.tcp_keepalive.interval", ["1s"], ["5ms" => "whole seconds"]),
        row!("clusters[0].pool.tcp_keepalive.probes", [1, 127], [0 => "at least 1", 128 => "at most 127"]),
        row!("clusters[0].pool.ping_keepalive", ["off", {}], ["never" => "write off or a mapping"]),
        timeout!("clusters[0].pool.ping_keepalive.interval"),
        timeout!("clusters[0].pool.ping_keepalive.timeout"),
        section!("clusters[0].pool.backoff", {}),
        row!("clusters[0].pool.backoff.initial", ["1ms"], ["11s" => "longer than maximum (10s)", "0s" => "no time"]),
        timeout!("clusters[0].pool.backoff.maximum"),
        window!("clusters[0].pool.stream_window", 1),
        row!("clusters[0].pool.connection_window", ["16MiB"], ["1KiB" => "at least 65535B"]),
        frame!("clusters[0].pool.max_frame_size"),
        row!("clusters[0].pool.max_header_list_size", ["16KiB"], ["x" => "is not a size", 1 => "at least 1KiB"]),
    ]
}
