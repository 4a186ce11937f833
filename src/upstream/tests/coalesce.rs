//! How few writes the socket sees.

use super::*;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::upstream::io::{CAPACITY, Coalesce};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

/// Records writes; takes at most `limit` bytes in one, nothing when `blocked`.
#[derive(Clone)]
struct Socket(Rc<RefCell<Log>>);

struct Log {
    writes: Vec<usize>,
    bytes: Vec<u8>,
    limit: usize,
    blocked: bool,
    vectored: bool,
}

impl Socket {
    fn new(limit: usize, vectored: bool) -> Self {
        Socket(Rc::new(RefCell::new(Log {
            writes: Vec::new(),
            bytes: Vec::new(),
            limit,
            blocked: false,
            vectored,
        })))
    }

    fn writes(&self) -> Vec<usize> {
        self.0.borrow().writes.clone()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let log = &mut *self.0.borrow_mut();
        if log.blocked {
            return Poll::Pending;
        }
        let before = log.bytes.len();
        for buf in bufs {
            let left = log.limit - (log.bytes.len() - before);
            log.bytes.extend(&buf[..buf.len().min(left)]);
        }
        let n = log.bytes.len() - before;
        log.writes.push(n);
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().vectored
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn data(len: usize) -> Vec<u8> {
    (0..len).map(|_| fastrand::u8(..)).collect()
}

#[test]
fn all_frames_of_a_turn_are_one_write() {
    on_worker(async {
        let socket = Socket::new(usize::MAX, true);
        let io = Coalesce::new(socket.clone());
        let (mut send, mut connection) = h2::client::handshake(io.clone()).await.unwrap();
        let mut streams = Vec::new();
        for _ in 0..50 {
            let (_, mut stream) = send.send_request(request("/"), false).unwrap();
            // Large enough that h2 flushes after each such frame.
            stream.send_data(data(600).into(), true).unwrap();
            streams.push(stream);
        }
        poll_fn(|cx| {
            assert!(Pin::new(&mut connection).poll(cx).is_pending());
            assert!(io.poll_send(cx).is_ready());
            Poll::Ready(())
        })
        .await;
        let writes = socket.writes();
        assert_eq!(writes.len(), 1, "{writes:?}");
        assert!(writes[0] > 50 * 600);
        assert_eq!(io.written().get(), writes[0] as u64);
    });
}

#[test]
fn large_writes_leave_at_once_and_with_what_is_held() {
    on_worker(async {
        let socket = Socket::new(usize::MAX, true);
        let mut io = Coalesce::new(socket.clone());
        let all = data(CAPACITY + 2000);
        io.write_all(&all[..1000]).await.unwrap();
        assert!(socket.writes().is_empty());
        io.write_all(&all[1000..]).await.unwrap();
        assert_eq!(socket.writes(), [all.len()]);
        assert_eq!(socket.0.borrow().bytes, all);
    });
}

#[test]
fn nothing_is_lost_whatever_the_socket_takes() {
    on_worker(async {
        for vectored in [true, false] {
            for limit in [1, 7, 1000, 16_393, usize::MAX] {
                let socket = Socket::new(limit, vectored);
                let mut io = Coalesce::new(socket.clone());
                let total = if limit == 1 { 5_000 } else { 400_000 };
                let all = data(total);
                let mut rest = &all[..];
                while !rest.is_empty() {
                    let n = fastrand::usize(1..=rest.len().min(40_000));
                    io.write_all(&rest[..n]).await.unwrap();
                    rest = &rest[n..];
                    if fastrand::u8(..) < 64 {
                        poll_fn(|cx| io.poll_send(cx)).await.unwrap();
                    }
                }
                io.shutdown().await.unwrap();
                assert!(socket.0.borrow().bytes == all, "{vectored} {limit}");
                assert_eq!(io.written().get(), total as u64);
            }
        }
    });
}

#[test]
fn a_full_socket_holds_the_writer_back() {
    on_worker(async {
        for vectored in [true, false] {
            let socket = Socket::new(usize::MAX, vectored);
            socket.0.borrow_mut().blocked = true;
            let mut io = Coalesce::new(socket.clone());
            io.write_all(&data(CAPACITY)).await.unwrap();
            let more = timeout(ms(20), io.write_all(&[1])).await;
            assert!(more.is_err(), "no more than CAPACITY is held");
            poll_fn(|cx| {
                assert!(io.poll_send(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            socket.0.borrow_mut().blocked = false;
            io.write_all(&[1]).await.unwrap();
            io.shutdown().await.unwrap();
            assert_eq!(socket.0.borrow().bytes.len(), CAPACITY + 1);
        }
    });
}
