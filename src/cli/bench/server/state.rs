//! What a server's thread has: the worker's part, its listener, its counts.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use qat_sys::offload::Path;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{MOST_IN_FLIGHT, Operations, Snapshot};
use crate::accelerator::{self, Active, Algorithm, SOFTWARE};
use crate::cli::bench::cpu;
use crate::cli::bench::error::Error;
use crate::tls::{self, Acceptor, Graveyard, TicketKeys, TlsParams};

/// Those of clients that gave up, and the accelerator's probe.
const MORE_JOBS: usize = 256;
/// For handshakes that clients have given up.
const LAST_HANDSHAKES: Duration = Duration::from_secs(1);

/// What accepted connections count.
#[derive(Default)]
struct Tally {
    handshakes: u64,
    resumed: u64,
    accelerated: u64,
    failed: u64,
    /// In progress.
    open: usize,
}

pub(super) struct State {
    name: &'static str,
    /// None: software.
    offload: Option<(Rc<accelerator::Worker>, Rc<Graveyard>)>,
    keys: TicketKeys,
    tally: Rc<RefCell<Tally>>,
    accepting: Option<JoinHandle<()>>,
}

impl State {
    pub(super) fn start(active: Option<Arc<Active>>) -> Result<State, Error> {
        let name = active.as_ref().map_or(SOFTWARE, |active| active.name);
        let failed = |error: &dyn std::fmt::Display| Error::Server(name, error.to_string());
        let offload = match &active {
            None => None,
            Some(active) => {
                tls::init_thread(MOST_IN_FLIGHT + MORE_JOBS, 0).map_err(|error| failed(&error))?;
                let worker = accelerator::Worker::new(active).map_err(|error| failed(&error))?;
                let graveyard = Graveyard::new();
                tokio::task::spawn_local(graveyard.clone().run());
                tokio::task::spawn_local(worker.clone().run());
                Some((worker, graveyard))
            }
        };
        Ok(State {
            name,
            offload,
            keys: TicketKeys::generate().map_err(|error| failed(&error))?,
            tally: Rc::default(),
            accepting: None,
        })
    }

    pub(super) async fn begin(&mut self, params: &TlsParams) -> Result<SocketAddr, Error> {
        self.end().await;
        let acceptor = self.acceptor(params);
        let acceptor = acceptor.map_err(|error| Error::Server(self.name, error.to_string()))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let accept = accept(listener, Rc::new(acceptor), self.tally.clone());
        self.accepting = Some(tokio::task::spawn_local(accept));
        Ok(address)
    }

    fn acceptor(&self, params: &TlsParams) -> Result<Acceptor, tls::TlsError> {
        let acceptor = Acceptor::new(params, &self.keys)?;
        match &self.offload {
            None => Ok(acceptor),
            Some((worker, graveyard)) => {
                acceptor.accelerated(params, &self.keys, worker.clone(), graveyard.clone())
            }
        }
    }

    pub(super) async fn end(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
        let until = Instant::now() + LAST_HANDSHAKES;
        while self.tally.borrow().open > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if let Some((_, graveyard)) = &self.offload {
            graveyard.drain(LAST_HANDSHAKES).await;
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let tally = self.tally.borrow();
        let counters = self.offload.as_ref().map(|(worker, _)| worker.stats());
        let sum = |path| {
            let of = |one| {
                counters
                    .as_ref()
                    .map_or(0, |stats| stats.operations.get(one, path))
            };
            Algorithm::ALL.into_iter().map(of).sum::<u64>()
        };
        Snapshot {
            at: Instant::now(),
            cpu: cpu::thread_time(),
            handshakes: tally.handshakes,
            resumed: tally.resumed,
            accelerated: tally.accelerated,
            failed: tally.failed,
            operations: Operations {
                offloaded: sum(Path::Accelerated),
                software: sum(Path::Software),
                redone: sum(Path::Redone),
            },
        }
    }
}

async fn accept(listener: TcpListener, acceptor: Rc<Acceptor>, tally: Rc<RefCell<Tally>>) {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => {
                let one = serve(tcp, acceptor.clone(), tally.clone());
                tokio::task::spawn_local(one);
            }
            // Out of descriptors, for instance: what is open closes soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// One handshake; then the connection is closed.
async fn serve(tcp: TcpStream, acceptor: Rc<Acceptor>, tally: Rc<RefCell<Tally>>) {
    let _ = tcp.set_nodelay(true);
    tally.borrow_mut().open += 1;
    let choice = acceptor.choose();
    let accepted = acceptor.accept_as(tcp, &choice).await;
    let accelerated = choice.is_accelerated();
    drop(choice);
    match accepted {
        Ok(mut stream) => {
            {
                let mut tally = tally.borrow_mut();
                tally.handshakes += 1;
                tally.resumed += u64::from(stream.info().resumed);
                tally.accelerated += u64::from(accelerated);
            }
            // The client waits for it. One that is gone counts as well.
            let _ = stream.shutdown().await;
        }
        Err(_) => tally.borrow_mut().failed += 1,
    }
    tally.borrow_mut().open -= 1;
}
