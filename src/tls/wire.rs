//! Ciphertext on its way out: sent many records at a time.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Bytes of ciphertext gathered before they are sent unasked: four full records.
pub(super) const ENOUGH: usize = 64 * 1024;

/// Room for one record more, which is sealed as a whole.
const CAPACITY: usize = ENOUGH + 20 * 1024;

/// More than writers can have gathered.
pub(super) const MOST: usize = CAPACITY + 4 * 1024;

/// Buffers kept per thread for the next writers, so that idle connections own none.
const KEPT: usize = 16;

thread_local! {
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Gives `output` a buffer, if it has none, before something is written to it.
pub(super) fn prepare(output: &mut Vec<u8>) {
    if output.capacity() == 0 {
        let free = FREE.with_borrow_mut(Vec::pop);
        *output = free.unwrap_or_else(|| Vec::with_capacity(CAPACITY));
    }
}

/// Takes the empty buffer back.
pub(super) fn release(output: &mut Vec<u8>) {
    let mut buffer = std::mem::take(output);
    buffer.clear();
    // What has grown beyond the usual, for a long chain, is freed. So is everything on a
    // thread that ends and has no free list any more.
    if buffer.capacity() == CAPACITY {
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(buffer);
            }
        });
    }
}

/// Sends `output`; ready when all of it is with the kernel.
pub(super) fn poll_send(
    tcp: &TcpStream,
    output: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    loop {
        if try_send(tcp, output)? {
            return Poll::Ready(Ok(()));
        }
        ready!(tcp.poll_write_ready(cx))?;
    }
}

/// Sends what the kernel takes at once; whether that was all.
pub(super) fn try_send(tcp: &TcpStream, output: &mut Vec<u8>) -> io::Result<bool> {
    while !output.is_empty() {
        match send(tcp, output) {
            Ok(sent) if sent == output.len() => output.clear(),
            // Rare enough to move the rest: the socket is full now.
            Ok(sent) => drop(output.drain(..sent)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                release(output);
                return Err(error);
            }
        }
    }
    release(output);
    Ok(true)
}

/// One system call, even if the runtime has not heard of the socket yet: a new one takes
/// the first flight before its first event.
fn send(tcp: &TcpStream, data: &[u8]) -> io::Result<usize> {
    let send = || SockRef::from(tcp).send_with_flags(data, libc::MSG_NOSIGNAL);
    let mut tried = false;
    let result = tcp.try_io(Interest::WRITABLE, || {
        tried = true;
        send()
    });
    if tried { result } else { send() }
}
