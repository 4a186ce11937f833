//! HTTP/1.1 by hyper.
//!
//! | path | does |
//! |---|---|
//! | `/echo` | sends the body back as it comes, with its trailers, chunked |
//! | `/download?bytes=N` | N bytes with a `content-length` |
//! | `/headers` | the request's head as JSON |
//! | `/upgrade` | 101, then echoes bytes, if asked for `upgrade: echo` |
//! | `/hop` | a response with headers that concern its connection alone |
//! | `/close` | answers, then closes the connection |
//! | other | 200 and the text `ok` |

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use openssl::ssl::SslAcceptor;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{Ended, Record, accept_tls};

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

pub(super) async fn connection(
    stream: TcpStream,
    number: usize,
    record: Arc<Record>,
    acceptor: Option<SslAcceptor>,
) {
    match acceptor {
        None => serve(stream, number, &record).await,
        Some(acceptor) => {
            if let Some(stream) = accept_tls(stream, &acceptor).await {
                serve(stream, number, &record).await;
            }
        }
    }
    record.disconnected();
}

async fn serve<S>(stream: S, number: usize, record: &Arc<Record>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| answer(request, number, record.clone()));
    let _ = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(
    mut request: Request<Incoming>,
    number: usize,
    record: Arc<Record>,
) -> Result<Response<Body>, hyper::Error> {
    if request.uri().path() == "/upgrade" && request.headers().contains_key(header::UPGRADE) {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
                let _ = tokio::io::copy(&mut read, &mut write).await;
            }
        });
        let (parts, _) = request.into_parts();
        let seen = record.begun(number, &parts);
        record.ended(seen, Ended::Complete);
        let mut response = Response::new(whole(""));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert("connection", http::HeaderValue::from_static("upgrade"));
        headers.insert("upgrade", http::HeaderValue::from_static("echo"));
        return Ok(response);
    }
    let (parts, body) = request.into_parts();
    let seen = record.begun(number, &parts);
    if parts.uri.path() == "/echo" {
        return Ok(Response::new(echo(body, record, seen)));
    }
    let collected = body
        .collect()
        .await
        .inspect_err(|_| record.ended(seen, Ended::Broken))?;
    if let Some(trailers) = collected.trailers() {
        record.trailers(seen, trailers.clone());
    }
    record.read(seen, collected.to_bytes().len() as u64);
    record.ended(seen, Ended::Complete);
    Ok(plain(&parts))
}

fn plain(parts: &http::request::Parts) -> Response<Body> {
    let mut response = match parts.uri.path() {
        "/download" => {
            let query = parts.uri.query().unwrap_or("");
            let bytes = query.strip_prefix("bytes=").and_then(|n| n.parse().ok());
            Response::new(whole(vec![0; bytes.unwrap_or(0)]))
        }
        "/headers" => Response::new(whole(super::h2::head(parts))),
        _ => Response::new(whole("ok")),
    };
    let headers = response.headers_mut();
    let value = http::HeaderValue::from_static;
    match parts.uri.path() {
        "/close" => {
            headers.insert(header::CONNECTION, value("close"));
        }
        "/hop" => {
            headers.insert(header::CONNECTION, value("x-hop"));
            headers.insert("x-hop", value("1"));
            headers.insert("keep-alive", value("timeout=5"));
            headers.insert("x-kept", value("yes"));
        }
        _ => {}
    }
    response
}

fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

fn echo(body: Incoming, record: Arc<Record>, seen: usize) -> Body {
    let frames = futures_util::stream::unfold(body, move |mut body| {
        let record = record.clone();
        async move {
            let Some(frame) = body.frame().await else {
                record.ended(seen, Ended::Complete);
                return None;
            };
            match &frame {
                Ok(frame) => note(&record, seen, frame),
                Err(_) => record.ended(seen, Ended::Broken),
            }
            Some((frame, body))
        }
    });
    BodyExt::boxed_unsync(StreamBody::new(frames))
}

fn note(record: &Record, seen: usize, frame: &Frame<Bytes>) {
    if let Some(data) = frame.data_ref() {
        record.read(seen, data.len() as u64);
    }
    if let Some(trailers) = frame.trailers_ref() {
        record.trailers(seen, trailers.clone());
    }
}
