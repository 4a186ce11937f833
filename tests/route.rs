//! Which requests go where, and what changes on the way.

use serde_json::json;
use support::backend::Backend;
use support::client::curl::Curl;
use support::client::h2::{Client, request, whole};

use crate::{h2_backend, setup};

/// A gateway whose routes say which they are, by a header to the backend.
fn routed(backend: &Backend, matches: &[(&str, serde_json::Value)]) -> support::Gateway {
    let routes: Vec<_> = matches
        .iter()
        .map(|(name, matches)| {
            json!({
                "name": name,
                "match": matches,
                "cluster": "backend",
                "request_headers": { "set": { "x-route": name } },
            })
        })
        .collect();
    setup(backend).listener("/routes", routes).start()
}

/// The route a request took, or `none`.
fn taken(backend: &Backend, curl: &Curl, path: &str, arguments: &[&str]) -> String {
    let mut routes = Vec::new();
    for response in [curl.h2(path, arguments), curl.h1(path, arguments)] {
        routes.push(match response.status {
            404 => "none".to_owned(),
            200 => backend
                .record()
                .last()
                .header("x-route")
                .unwrap_or("?")
                .to_owned(),
            _ => panic!("{response:#?}"),
        });
    }
    assert_eq!(
        routes[0], routes[1],
        "HTTP/2 and HTTP/1.1: {path} {arguments:?}"
    );
    routes.swap_remove(0)
}

#[test]
fn hosts_are_exact_or_below_a_name() {
    let backend = h2_backend();
    let gateway = routed(
        &backend,
        &[
            ("any.example", json!({ "host": "*.example.com" })),
            ("exact", json!({ "host": "api.example.com" })),
            ("deeper", json!({ "host": "*.eu.example.com" })),
        ],
    );
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    for (host, route) in [
        ("api.example.com", "exact"),
        ("API.Example.COM", "exact"),
        ("api.example.com:8443", "exact"),
        ("api.example.com.", "exact"),
        ("api.example.com.:8443", "exact"),
        ("www.example.com", "any.example"),
        ("a.b.example.com", "any.example"),
        ("a.eu.example.com", "deeper"),
        ("eu.example.com", "any.example"),
        ("example.com", "none"),
        ("badexample.com", "none"),
        ("example.com.evil.org", "none"),
    ] {
        let header = format!("host: {host}");
        assert_eq!(
            taken(&backend, &curl, "/", &["-H", &header]),
            route,
            "{host}"
        );
    }
}

#[test]
fn paths_are_exact_or_prefixes_on_segment_borders() {
    let backend = h2_backend();
    let gateway = routed(
        &backend,
        &[
            ("root", json!({ "path_prefix": "/" })),
            ("v2", json!({ "path_prefix": "/v2" })),
            ("models", json!({ "path_prefix": "/v2/models/" })),
            ("one", json!({ "path": "/v2/models/one" })),
        ],
    );
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    for (path, route) in [
        ("/", "root"),
        ("/v2", "v2"),
        ("/v2/", "v2"),
        ("/v2/x", "v2"),
        ("/v2?q=/v2/models", "v2"),
        ("/v2x", "root"),
        ("/v2/models/two", "models"),
        ("/v2/models/one", "one"),
        ("/v2/models/one?q", "one"),
        ("/v2/models/one/more", "models"),
    ] {
        assert_eq!(taken(&backend, &curl, path, &[]), route, "{path}");
    }
}

#[test]
fn methods_and_headers_narrow_a_route() {
    let backend = h2_backend();
    let gateway = routed(
        &backend,
        &[
            ("get", json!({ "methods": ["GET", "HEAD"] })),
            ("llama", json!({ "headers": { "x-model": "llama" } })),
            (
                "grpc",
                json!({ "headers": { "user-agent": { "prefix": "grpc-" } } }),
            ),
            (
                "debug",
                json!({ "headers": { "x-debug": { "present": true }, "x-model": "llama" } }),
            ),
        ],
    );
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let cases: [(&[&str], &str); 6] = [
        (&[], "get"),
        (&["-X", "POST"], "none"),
        (&["-X", "POST", "-H", "x-model: llama"], "llama"),
        (&["-X", "POST", "-H", "x-model: llama2"], "none"),
        (&["-X", "POST", "-H", "user-agent: grpc-python/1.7"], "grpc"),
        (
            &["-X", "POST", "-H", "x-model: llama", "-H", "x-debug: 0"],
            "debug",
        ),
    ];
    for (arguments, route) in cases {
        assert_eq!(
            taken(&backend, &curl, "/", arguments),
            route,
            "{arguments:?}"
        );
    }
}

#[test]
fn no_route_is_404_and_counted() {
    let backend = h2_backend();
    let gateway = routed(&backend, &[("v2", json!({ "path_prefix": "/v2" }))]);
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    curl.h2("/v3", &[]).expect(404);
    curl.h1("/v3", &[]).expect(404);
    assert_eq!(backend.record().count(), 0);
    let unmatched = gateway
        .metrics()
        .sum("gateway_route_unmatched_total", &[("listener", "edge")]);
    assert_eq!(unmatched, 2.0);
}

#[test]
fn paths_are_rewritten() {
    let backend = h2_backend();
    let route = |matches: serde_json::Value, to: &str| json!({ "match": matches, "rewrite": to, "cluster": "backend" });
    let gateway = setup(&backend)
        .listener(
            "/routes",
            vec![
                route(json!({ "path_prefix": "/api/v1" }), "/v2"),
                route(json!({ "path_prefix": "/strip" }), "/"),
                route(json!({ "path": "/exact" }), "/other/place"),
            ],
        )
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    for (from, to) in [
        ("/api/v1/models?x=1", "/v2/models?x=1"),
        ("/api/v1", "/v2"),
        ("/strip/a/b", "/a/b"),
        ("/strip?q", "/?q"),
        ("/exact?q=2", "/other/place?q=2"),
    ] {
        for response in [curl.h2(from, &[]), curl.h1(from, &[])] {
            response.expect(200);
            assert_eq!(backend.record().last().path, to, "{from}");
        }
    }
}

#[test]
fn headers_are_changed_on_both_ways() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .route(
            "/request_headers",
            json!({
                "remove": ["x-secret"],
                "set": { "x-set": "gateway" },
                "add": { "x-added": "second" },
            }),
        )
        .route(
            "/response_headers",
            json!({ "remove": ["x-kept"], "set": { "strict-transport-security": "max-age=1" } }),
        )
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let sent = [
        "-H",
        "x-secret: 1",
        "-H",
        "x-set: client",
        "-H",
        "x-added: first",
    ];
    for response in [curl.h2("/cookie", &sent), curl.h1("/cookie", &sent)] {
        let response = response.expect(200);
        assert_eq!(response.header("x-kept"), None);
        assert_eq!(
            response.header("strict-transport-security"),
            Some("max-age=1")
        );
        let seen = backend.record().last();
        assert_eq!(seen.header("x-secret"), None);
        let set = seen.headers.get_all("x-set").iter();
        assert_eq!(set.collect::<Vec<_>>(), ["gateway"]);
        let added = seen.headers.get_all("x-added").iter();
        assert_eq!(added.collect::<Vec<_>>(), ["first", "second"]);
    }
}

#[test]
fn a_timeout_is_504_and_cancels() {
    let backend = h2_backend();
    let gateway = setup(&backend).route("/timeout", "300ms").start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    curl.h2("/never", &[]).expect(504);
    curl.h1("/never", &[]).expect(504);
    for at in 0..2 {
        backend.record().wait("a reset", |seen| {
            matches!(seen[at].ended, support::backend::Ended::Reset(_)).then_some(())
        });
    }
    curl.h2("/plain", &[]).expect(200);
}

#[test]
fn silence_ends_a_stream_and_activity_keeps_it() {
    let backend = h2_backend();
    let gateway = setup(&backend).route("/idle_timeout", "500ms").start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    curl.h2("/never", &[]).expect(504);
    let alive = curl.h2("/sse?events=8&ms=150", &[]).expect(200);
    assert_eq!(alive.text().matches("data: ").count(), 8);
    for silent in [
        curl.h2("/sse?events=2&ms=60000", &[]),
        curl.h1("/sse?events=2&ms=60000", &[]),
    ] {
        assert_ne!(silent.exit, 0, "a cut response looks whole: {silent:#?}");
        assert!(silent.total < 30.0, "{silent:?}");
    }
}

#[tokio::test]
async fn bodies_past_the_limit_are_413() {
    let backend = h2_backend();
    let gateway = setup(&backend).route("/max_body", "64KiB").start();
    let mut client = Client::connect(&gateway).await;
    let fits = bytes::Bytes::from(vec![b'x'; 64 * 1024]);
    let answer = client.post("/echo", fits).await.expect("an answer");
    assert_eq!((answer.status(), answer.body.len()), (200, 64 * 1024));
    // Told beforehand, it never reaches the backend.
    let before = backend.record().count();
    let mut told = request("POST", "/echo");
    told.headers_mut().insert("content-length", 65_537.into());
    let (response, _stream) = client.send(told, false).await.expect("sent");
    assert_eq!(whole(response).await.expect("an answer").status(), 413);
    assert_eq!(backend.record().count(), before);
    // Not told, it is cut at the limit.
    let long = bytes::Bytes::from(vec![b'x'; 200_000]);
    match client.post("/upload", long).await {
        Ok(answer) => assert_eq!(answer.status(), 413),
        Err(error) => assert!(error.is_reset(), "{error}"),
    }
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let file = gateway.folder().join("long");
    std::fs::write(&file, vec![b'x'; 200_000]).expect("written");
    let data = format!("@{}", file.display());
    let response = curl.h1("/echo", &["--data-binary", &data]);
    assert_eq!(response.status, 413, "{response:#?}");
}
