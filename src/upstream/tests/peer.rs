//! A real HTTP/2 backend of the h2 crate.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::spawn_local;

/// What the peers do, by path:
/// `/now` answers at once, `/hold` after [`Backend::release`], `/refuse` resets with
/// REFUSED_STREAM, `/upload` reads the body first, `/drip` sends 2000 frames of 16 bytes, `/endless` data without end.
pub(super) struct Backend {
    pub(super) address: SocketAddr,
    pub(super) state: Rc<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) max_streams: Cell<u32>,
    pub(super) accepted: Cell<usize>,
    pub(super) open: Cell<usize>,
    pub(super) requests: Cell<usize>,
    /// Streams in progress by connection, and the most seen at once.
    streams: RefCell<BTreeMap<usize, usize>>,
    pub(super) peak: Cell<usize>,
    pub(super) held: Cell<usize>,
    gate: Notify,
    goaway: Notify,
    kill: Notify,
}

impl Backend {
    pub(super) async fn new(max_streams: u32) -> Self {
        Self::on("127.0.0.1:0".parse().unwrap(), max_streams).await
    }

    pub(super) async fn on(address: SocketAddr, max_streams: u32) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let state = Rc::new(State::default());
        state.max_streams.set(max_streams);
        let address = listener.local_addr().unwrap();
        spawn_local(accept(listener, state.clone()));
        Backend { address, state }
    }

    /// Answers everything held.
    pub(super) fn release(&self) {
        self.state.gate.notify_waiters();
    }

    /// GOAWAY on every connection, which then finishes its streams.
    pub(super) fn go_away(&self) {
        self.state.goaway.notify_waiters();
    }

    /// Cuts every connection.
    pub(super) fn kill(&self) {
        self.state.kill.notify_waiters();
    }

    pub(super) async fn until_held(&self, count: usize) {
        let state = &self.state;
        super::until_that(
            || state.held.get() == count,
            || format!("{} held, not {count}", state.held.get()),
        )
        .await;
    }
}

async fn accept(listener: TcpListener, state: Rc<State>) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let id = state.accepted.get();
        state.accepted.set(id + 1);
        spawn_local(connection(tcp, id, state.clone()));
    }
}

async fn connection(tcp: TcpStream, id: usize, state: Rc<State>) {
    let mut builder = server::Builder::new();
    builder.max_concurrent_streams(state.max_streams.get());
    let Ok(mut connection) = builder.handshake::<_, Bytes>(tcp).await else {
        return;
    };
    state.open.set(state.open.get() + 1);
    loop {
        let (goaway, kill) = (state.goaway.notified(), state.kill.notified());
        tokio::select! {
            // The next request, or the connection's end.
            request = connection.accept() => match request {
                Some(Ok((request, respond))) => {
                    spawn_local(stream(request, respond, id, state.clone()));
                }
                _ => break,
            },
            // The test's orders.
            () = goaway => connection.graceful_shutdown(),
            () = kill => break,
        }
    }
    state.open.set(state.open.get() - 1);
}

async fn stream(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    id: usize,
    state: Rc<State>,
) {
    state.requests.set(state.requests.get() + 1);
    let now = {
        let mut streams = state.streams.borrow_mut();
        let now = streams.entry(id).or_default();
        *now += 1;
        *now
    };
    state.peak.set(state.peak.get().max(now));
    let path = request.uri().path().to_owned();
    if path == "/upload" {
        let mut body = request.into_body();
        while let Some(Ok(data)) = body.data().await {
            body.flow_control().release_capacity(data.len()).unwrap();
        }
    }
    answer(&path, &mut respond, &state).await;
    *state.streams.borrow_mut().get_mut(&id).unwrap() -= 1;
}

async fn answer(path: &str, respond: &mut SendResponse<Bytes>, state: &State) {
    let ok = Response::new(());
    match path {
        "/refuse" => respond.send_reset(h2::Reason::REFUSED_STREAM),
        "/hold" => {
            state.held.set(state.held.get() + 1);
            state.gate.notified().await;
            state.held.set(state.held.get() - 1);
            if let Ok(mut body) = respond.send_response(ok, false) {
                let _ = body.send_data("held".into(), true);
            }
        }
        "/drip" => {
            let mut body = respond.send_response(ok, false).unwrap();
            for i in 0..2000u32 {
                body.send_data(Bytes::from(vec![b'.'; 16]), i == 1999)
                    .unwrap();
                // Each frame by itself, as tokens come.
                tokio::task::yield_now().await;
            }
        }
        "/endless" => {
            let mut body = respond.send_response(ok, false).unwrap();
            loop {
                body.reserve_capacity(1024);
                match std::future::poll_fn(|cx| body.poll_capacity(cx)).await {
                    Some(Ok(n)) => drop(body.send_data(vec![0; n].into(), false)),
                    _ => return,
                }
            }
        }
        _ => {
            let mut body = respond.send_response(ok, false).unwrap();
            body.send_data("now".into(), true).unwrap();
        }
    }
}
