//! HTTP/2 by the h2 crate: every path is a behaviour, its query the parameters.
//!
//! | path | does |
//! |---|---|
//! | `/echo` | sends the body back as it comes, then its trailers |
//! | `/download?bytes=N` | N bytes, streamed |
//! | `/upload` | reads the body, answers the count; `?rate=N`: N bytes a second; `?pause=N`: N milliseconds after every 64 MiB |
//! | `/delay?ms=N` | answers after a while |
//! | `/never` | reads, and answers nothing |
//! | `/trailers` | body, then `x-checksum: abc` |
//! | `/early-hints` | 103 with a link, then 200 |
//! | `/reset?code=N` | resets before a response; `&after=N`: after the head and N bytes |
//! | `/cut?bytes=N` | head, N bytes, then the connection breaks |
//! | `/sse?events=N&ms=N` | server-sent events, one at a time |
//! | `/status?code=N` | that status, with a body |
//! | `/empty` | 204 |
//! | `/headers` | the request's head as JSON |
//! | `/cookie` | two `set-cookie` headers, and headers that are hop-by-hop |
//! | other | 200 and the text `ok` |

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Ended, Record, accept_tls, acceptor};
use crate::certificates::{Authority, Identity};

/// Bytes written at once.
const CHUNK: usize = 16 * 1024;
const PAUSE_EVERY: u64 = 64 << 20;

/// Error codes (RFC 9113 7).
pub const INTERNAL_ERROR: u32 = 2;
pub const REFUSED_STREAM: u32 = 7;

#[derive(Clone, Default)]
pub struct Options {
    pub max_concurrent_streams: Option<u32>,
    /// GOAWAY, gracefully, after so many requests on a connection.
    pub goaway_after: Option<usize>,
    pub tls: Option<Identity>,
    /// Clients must show a certificate of this authority.
    pub clients: Option<Authority>,
    /// Before every response.
    pub delay: Duration,
}

pub(super) async fn connection(
    stream: TcpStream,
    number: usize,
    record: Arc<Record>,
    options: Arc<Options>,
) {
    match &options.tls {
        None => serve(stream, number, &record, &options).await,
        Some(identity) => {
            let acceptor = acceptor(identity, b"\x02h2", options.clients.as_ref());
            if let Some(stream) = accept_tls(stream, &acceptor).await {
                serve(stream, number, &record, &options).await;
            }
        }
    }
    record.disconnected();
}

async fn serve<S>(stream: S, number: usize, record: &Arc<Record>, options: &Options)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    if let Some(streams) = options.max_concurrent_streams {
        builder.max_concurrent_streams(streams);
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
        return;
    };
    let (cut, mut is_cut) = watch::channel(false);
    let mut requests = 0;
    loop {
        let accepted = tokio::select! {
            // A path asked for the connection's end: dropping it is that.
            _ = is_cut.wait_for(|cut| *cut) => return,
            accepted = connection.accept() => accepted,
        };
        let Some(Ok((request, respond))) = accepted else {
            return;
        };
        requests += 1;
        let stream = Stream::new(record.clone(), number, cut.clone(), options.delay);
        tokio::spawn(stream.answer(request, respond));
        if options.goaway_after == Some(requests) {
            connection.graceful_shutdown();
        }
    }
}

struct Stream {
    record: Arc<Record>,
    connection: usize,
    cut: watch::Sender<bool>,
    delay: Duration,
}

/// What stopped a behaviour: the peer's reset, or the connection.
type Stopped = h2::Error;

impl Stream {
    fn new(
        record: Arc<Record>,
        connection: usize,
        cut: watch::Sender<bool>,
        delay: Duration,
    ) -> Stream {
        Stream {
            record,
            connection,
            cut,
            delay,
        }
    }

    async fn answer(self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let (parts, mut body) = request.into_parts();
        let seen = self.record.begun(self.connection, &parts);
        tokio::time::sleep(self.delay).await;
        let mut call = Call {
            seen,
            record: &self.record,
            query: Query(parts.uri.query().unwrap_or("").to_owned()),
            body: &mut body,
        };
        let ended = match parts.uri.path() {
            "/cut" => {
                let sent = call.download(&mut respond).await;
                // What was sent is to arrive before the end.
                tokio::time::sleep(Duration::from_millis(100)).await;
                self.cut.send_replace(true);
                sent.map(|()| Ended::Broken)
            }
            "/never" => call.never(&mut respond).await,
            "/reset" => call.reset(&mut respond).await,
            path => call
                .behave(path, &parts, &mut respond)
                .await
                .map(|()| Ended::Complete),
        };
        let ended = ended.unwrap_or_else(|error| match error.reason() {
            Some(reason) if !error.is_go_away() && !error.is_io() => Ended::Reset(reason.into()),
            _ => Ended::Broken,
        });
        self.record.ended(seen, ended);
    }
}

struct Query(String);

impl Query {
    fn number(&self, name: &str) -> Option<u64> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(found, _)| *found == name)?;
        value.parse().ok()
    }
}

struct Call<'a> {
    seen: usize,
    record: &'a Record,
    query: Query,
    body: &'a mut RecvStream,
}

impl Call<'_> {
    async fn behave(
        &mut self,
        path: &str,
        parts: &Parts,
        respond: &mut SendResponse<Bytes>,
    ) -> Result<(), Stopped> {
        match path {
            "/echo" => self.echo(parts, respond).await,
            _ if parts.method == http::Method::HEAD => whole(respond, Response::new(()), "").await,
            "/download" => {
                let mut stream = self.download_stream(respond)?;
                let bytes = self.query.number("bytes").unwrap_or(0);
                send_zeros(&mut stream, bytes, true).await
            }
            "/upload" => {
                let read = self.drain().await?;
                whole(respond, Response::new(()), &read.to_string()).await
            }
            "/delay" => {
                let pause = self.query.number("ms").unwrap_or(0);
                self.while_connected(respond, Duration::from_millis(pause))
                    .await?;
                whole(respond, Response::new(()), "late").await
            }
            "/trailers" => {
                self.drain().await?;
                let mut response = Response::new(());
                *response.headers_mut() = map(&[("trailer", "x-checksum")]);
                let mut stream = respond.send_response(response, false)?;
                send(&mut stream, Bytes::from_static(b"body"), false).await?;
                stream.send_trailers(map(&[("x-checksum", "abc")]))
            }
            "/early-hints" => {
                let mut hints = Response::new(());
                *hints.status_mut() = http::StatusCode::EARLY_HINTS;
                *hints.headers_mut() = map(&[("link", "</style.css>; rel=preload")]);
                respond.send_informational(hints)?;
                whole(respond, Response::new(()), "hinted").await
            }
            "/sse" => self.events(respond).await,
            "/headers" => {
                self.drain().await?;
                whole(respond, Response::new(()), &head(parts)).await
            }
            _ => {
                self.drain().await?;
                let (response, text) = self.plain(path);
                whole(respond, response, text).await
            }
        }
    }

    fn plain(&self, path: &str) -> (Response<()>, &'static str) {
        let mut response = Response::new(());
        match path {
            "/status" => {
                let code = self.query.number("code").unwrap_or(200) as u16;
                *response.status_mut() = http::StatusCode::from_u16(code).expect("a status");
                // RFC 9110 15.3.5, 15.4.5: these have no content.
                (
                    response,
                    if matches!(code, 204 | 304) {
                        ""
                    } else {
                        "status"
                    },
                )
            }
            "/empty" => {
                *response.status_mut() = http::StatusCode::NO_CONTENT;
                (response, "")
            }
            "/cookie" => {
                let headers = response.headers_mut();
                *headers = map(&[("set-cookie", "a=1"), ("x-kept", "yes")]);
                headers.append("set-cookie", http::HeaderValue::from_static("b=2"));
                (response, "cookies")
            }
            _ => (response, "ok"),
        }
    }

    /// Reads the body to its end.
    async fn drain(&mut self) -> Result<u64, Stopped> {
        let rate = self.query.number("rate");
        let mut all = 0;
        while let Some(data) = self.body.data().await {
            let bytes = data?.len();
            all += bytes as u64;
            self.record.read(self.seen, bytes as u64);
            if let Some(rate) = rate {
                tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / rate as f64)).await;
            }
            if let Some(pause) = self.query.number("pause")
                && all % PAUSE_EVERY < bytes as u64
            {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            let _ = self.body.flow_control().release_capacity(bytes);
        }
        if let Some(trailers) = self.body.trailers().await? {
            self.record.trailers(self.seen, trailers);
        }
        Ok(all)
    }

    async fn echo(
        &mut self,
        parts: &Parts,
        respond: &mut SendResponse<Bytes>,
    ) -> Result<(), Stopped> {
        let mut response = Response::new(());
        if let Some(kind) = parts.headers.get("content-type") {
            let headers = response.headers_mut();
            headers.insert("content-type", kind.clone());
        }
        let mut stream = respond.send_response(response, false)?;
        while let Some(data) = self.body.data().await {
            let data = data?;
            let bytes = data.len();
            self.record.read(self.seen, bytes as u64);
            send(&mut stream, data, false).await?;
            let _ = self.body.flow_control().release_capacity(bytes);
        }
        match self.body.trailers().await? {
            Some(trailers) => {
                self.record.trailers(self.seen, trailers.clone());
                stream.send_trailers(trailers)
            }
            None => stream.send_data(Bytes::new(), true),
        }
    }

    fn download_stream(
        &self,
        respond: &mut SendResponse<Bytes>,
    ) -> Result<SendStream<Bytes>, Stopped> {
        respond.send_response(Response::new(()), false)
    }

    /// As much as is asked for, without an end.
    async fn download(&mut self, respond: &mut SendResponse<Bytes>) -> Result<(), Stopped> {
        let mut stream = self.download_stream(respond)?;
        let bytes = self.query.number("bytes").unwrap_or(0);
        send_zeros(&mut stream, bytes, false).await?;
        // Dropping the stream would reset it before the data is out.
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    }

    async fn reset(&mut self, respond: &mut SendResponse<Bytes>) -> Result<Ended, Stopped> {
        let code = self.query.number("code").unwrap_or(2) as u32;
        if let Some(bytes) = self.query.number("after") {
            let mut stream = self.download_stream(respond)?;
            send_zeros(&mut stream, bytes, false).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
            stream.send_reset(Reason::from(code));
        } else {
            respond.send_reset(Reason::from(code));
        }
        Ok(Ended::Complete)
    }

    /// Reads what comes; ends with the gateway's reset or the connection.
    async fn never(&mut self, respond: &mut SendResponse<Bytes>) -> Result<Ended, Stopped> {
        self.drain().await?;
        let reason = std::future::poll_fn(|context| respond.poll_reset(context)).await?;
        Ok(Ended::Reset(reason.into()))
    }

    async fn while_connected(
        &mut self,
        respond: &mut SendResponse<Bytes>,
        pause: Duration,
    ) -> Result<(), Stopped> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            reset = std::future::poll_fn(|context| respond.poll_reset(context)) => {
                let reason = reset?;
                self.record.ended(self.seen, Ended::Reset(reason.into()));
                Err(h2::Error::from(reason))
            }
        }
    }

    async fn events(&mut self, respond: &mut SendResponse<Bytes>) -> Result<(), Stopped> {
        let mut response = Response::new(());
        *response.headers_mut() = map(&[("content-type", "text/event-stream")]);
        let mut stream = respond.send_response(response, false)?;
        let pause = Duration::from_millis(self.query.number("ms").unwrap_or(50));
        for event in 0..self.query.number("events").unwrap_or(3) {
            if event > 0 {
                tokio::time::sleep(pause).await;
            }
            let text = format!("data: event {event}\n\n");
            send(&mut stream, Bytes::from(text), false).await?;
        }
        stream.send_data(Bytes::new(), true)
    }
}

fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        let name = http::HeaderName::from_static(name);
        (name, http::HeaderValue::from_static(value))
    };
    pairs.iter().map(pair).collect()
}

pub(super) fn head(parts: &Parts) -> String {
    let headers: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            serde_json::json!([name.as_str(), value])
        })
        .collect();
    serde_json::json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path_and_query().map(|path| path.as_str()),
        "authority": parts.uri.authority().map(|authority| authority.as_str()),
        "scheme": parts.uri.scheme_str(),
        "version": format!("{:?}", parts.version),
        "headers": headers,
    })
    .to_string()
}

async fn whole(
    respond: &mut SendResponse<Bytes>,
    response: Response<()>,
    text: &str,
) -> Result<(), Stopped> {
    let mut stream = respond.send_response(response, text.is_empty())?;
    if !text.is_empty() {
        send(&mut stream, Bytes::from(text.to_owned()), true).await?;
    }
    Ok(())
}

async fn send_zeros(stream: &mut SendStream<Bytes>, bytes: u64, end: bool) -> Result<(), Stopped> {
    static ZEROS: [u8; CHUNK] = [0; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(CHUNK as u64);
        left -= now;
        let data = Bytes::from_static(&ZEROS[..now as usize]);
        send(stream, data, end && left == 0).await?;
    }
    if end && bytes == 0 {
        stream.send_data(Bytes::new(), true)?;
    }
    Ok(())
}

/// Sends all of it as the windows allow, keeping nothing in memory beyond them.
pub async fn send(
    stream: &mut SendStream<Bytes>,
    mut data: Bytes,
    end: bool,
) -> Result<(), Stopped> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let capacity = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let capacity = match capacity {
            Some(capacity) => capacity?,
            None => {
                let reason = std::future::poll_fn(|context| stream.poll_reset(context)).await?;
                return Err(reason.into());
            }
        };
        let now = data.split_to(capacity.min(data.len()));
        stream.send_data(now, end && data.is_empty())?;
    }
    Ok(())
}
