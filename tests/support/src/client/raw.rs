//! Bytes over TLS, for requests that no client would send.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use openssl::ssl::SslStream;

use super::tls::{self, Options};
use crate::{Gateway, PATIENCE};

/// A TLS connection whose reads end after [`PATIENCE`].
pub struct Raw(SslStream<TcpStream>);

impl Raw {
    /// Offers HTTP/1.1.
    ///
    /// # Panics
    /// If the handshake fails.
    pub fn connect(gateway: &Gateway) -> Raw {
        Raw::connect_with(gateway, &Options::http1())
    }

    /// # Panics
    /// If the handshake fails.
    pub fn connect_with(gateway: &Gateway, options: &Options) -> Raw {
        let stream = TcpStream::connect(gateway.address()).expect("TCP");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.set_nodelay(true).expect("set");
        let mut stream = SslStream::new(tls::session(gateway, options), stream).expect("a stream");
        stream.connect().expect("TLS");
        Raw(stream)
    }

    pub fn send(&mut self, bytes: &[u8]) {
        // A server that has refused the beginning need not take the rest.
        let _ = self.0.write_all(bytes);
    }

    /// All that comes until the server closes; None if it does not in time.
    pub fn read_to_end(&mut self) -> Option<String> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => all.extend_from_slice(&buffer[..read]),
                Err(error) if timed_out(&error) => return None,
                // A reset ends a connection too.
                Err(_) => break,
            }
        }
        Some(String::from_utf8_lossy(&all).into_owned())
    }

    /// What comes until it contains the text.
    ///
    /// # Panics
    /// If it does not in time.
    pub fn read_until(&mut self, text: &str) -> String {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&all).contains(text) {
            let read = self.0.read(&mut buffer).unwrap_or(0);
            assert!(
                read > 0,
                "no {text:?} in {:?}",
                String::from_utf8_lossy(&all)
            );
            all.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Fills the buffer; None if the connection ends before, or nothing comes in time.
    pub fn read_exact(&mut self, buffer: &mut [u8]) -> Option<()> {
        self.0.read_exact(buffer).ok()
    }

    /// Whether nothing more comes for a while.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        let socket = self.0.get_ref();
        socket.set_read_timeout(Some(time)).expect("set");
        let silent = match self.0.read(&mut [0]) {
            Err(error) => timed_out(&error),
            Ok(_) => false,
        };
        let socket = self.0.get_ref();
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        silent
    }

    /// Ends our direction: close_notify, then FIN.
    pub fn close_write(&mut self) {
        let _ = self.0.shutdown();
        let _ = self.0.get_ref().shutdown(Shutdown::Write);
    }
}

fn timed_out(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
