//! Finds requests whose length two servers could read in two ways (RFC 9112 6.3, 11.2).
//!
//! hyper settles such a length by itself and hands the request over without a trace: of
//! Content-Length and Transfer-Encoding the first is gone. So the connection's bytes are
//! followed beside it, by httparse, the parser hyper uses:
//!
//! ```text
//! Head ─length→ skip ─→ Head
//!   └──chunked→ Size ─→ skip, Size … ─0→ Trailers ─→ Head
//! ```
//!
//! hyper's reading stays the one that counts. A request is served only if its head was
//! seen here and found sound; what is not understood is therefore refused. At most one
//! incomplete head, chunk size or trailer section is held.

use std::mem::MaybeUninit;

use httparse::{Header, Request, Status};

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Head,
    /// A chunk's size, with its extensions.
    Size,
    Trailers,
    /// A request was refused: nothing after it counts.
    Nothing,
}

/// The requests of one connection.
pub struct Heads {
    next: Next,
    /// Bytes of a body until then.
    skip: u64,
    /// The beginning of what comes next.
    partial: Vec<u8>,
    sound: u64,
    max_headers: usize,
    /// Longest head, chunk size or trailer section.
    max_size: usize,
}

/// What one unit of the stream came to.
enum Unit {
    /// So many bytes, then a body of so many, then that.
    Whole(usize, u64, Next),
    Partial,
    Refused,
}

impl Heads {
    pub fn new(max_headers: usize, max_size: usize) -> Heads {
        Heads {
            next: Next::Head,
            skip: 0,
            partial: Vec::new(),
            sound: 0,
            max_headers,
            max_size,
        }
    }

    /// Whether the n-th request, counted from 1, may be served.
    pub fn is_sound(&self, n: u64) -> bool {
        n <= self.sound
    }

    /// The next bytes of the connection.
    pub fn follow(&mut self, bytes: &[u8]) {
        if self.partial.is_empty() {
            let read = self.read(bytes);
            self.keep(&bytes[read..]);
        } else if bytes.contains(&b'\n') {
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend_from_slice(bytes);
            let read = self.read(&whole);
            self.keep(&whole[read..]);
        } else {
            // Everything that is waited for ends with a line: a slow sender costs no
            // look at the same bytes again and again.
            self.keep(bytes);
        }
    }

    fn keep(&mut self, rest: &[u8]) {
        self.partial.extend_from_slice(rest);
        if self.partial.len() > self.max_size {
            self.refuse();
        }
    }

    fn refuse(&mut self) {
        self.next = Next::Nothing;
        self.partial = Vec::new();
    }

    /// Reads whole units, and says how many bytes they have.
    fn read(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let skipped = self.skip.min(rest.len() as u64);
            self.skip -= skipped;
            at += skipped as usize;
            let rest = &rest[skipped as usize..];
            if rest.is_empty() {
                return at;
            }
            let unit = match self.next {
                Next::Head => self.head(rest),
                Next::Size => size(rest),
                Next::Trailers => self.trailers(rest),
                Next::Nothing => return bytes.len(),
            };
            match unit {
                Unit::Whole(length, body, next) => {
                    self.sound += u64::from(self.next == Next::Head);
                    (self.skip, self.next) = (body, next);
                    at += length;
                }
                Unit::Partial => return at,
                Unit::Refused => self.refuse(),
            }
        }
    }

    fn head(&self, bytes: &[u8]) -> Unit {
        let mut headers = vec![MaybeUninit::uninit(); self.max_headers];
        let mut request = Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, &mut headers) {
            Ok(Status::Complete(length)) if lines_are_whole(&bytes[..length]) => {
                match body(request.headers) {
                    Some((body, next)) => Unit::Whole(length, body, next),
                    None => Unit::Refused,
                }
            }
            Ok(Status::Partial) => Unit::Partial,
            Ok(Status::Complete(_)) | Err(_) => Unit::Refused,
        }
    }

    fn trailers(&self, bytes: &[u8]) -> Unit {
        let mut headers = vec![httparse::EMPTY_HEADER; self.max_headers];
        match httparse::parse_headers(bytes, &mut headers) {
            Ok(Status::Complete((length, _))) => Unit::Whole(length, 0, Next::Head),
            Ok(Status::Partial) => Unit::Partial,
            Err(_) => Unit::Refused,
        }
    }
}

/// A chunk's size; its bytes and the line end after them are skipped.
fn size(bytes: &[u8]) -> Unit {
    match httparse::parse_chunk_size(bytes) {
        Ok(Status::Complete((length, 0))) => Unit::Whole(length, 0, Next::Trailers),
        Ok(Status::Complete((length, size))) => {
            Unit::Whole(length, size.saturating_add(2), Next::Size)
        }
        Ok(Status::Partial) => Unit::Partial,
        Err(_) => Unit::Refused,
    }
}

/// How long the body is and what follows; none where that could be read in two ways, or
/// by a coding that the gateway would have to undo.
fn body(headers: &[Header<'_>]) -> Option<(u64, Next)> {
    let mut lengths = values(headers, "content-length");
    let mut codings = values(headers, "transfer-encoding");
    let found = (lengths.next(), codings.next());
    if lengths.next().is_some() || codings.next().is_some() {
        return None;
    }
    match found {
        (None, None) => Some((0, Next::Head)),
        (Some(length), None) => {
            let length = std::str::from_utf8(length).ok()?.parse().ok()?;
            Some((length, Next::Head))
        }
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Some((0, Next::Size)),
        (_, Some(_)) => None,
    }
}

fn values<'a>(headers: &'a [Header<'_>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let named = move |header: &&Header<'_>| header.name.eq_ignore_ascii_case(name);
    headers.iter().filter(named).map(|header| header.value)
}

/// Whether every line ends in CRLF. Where one server takes a lone LF for an end, as it
/// may (RFC 9112 2.2), another sees a part of a value.
fn lines_are_whole(head: &[u8]) -> bool {
    let mut before = 0;
    head.iter().all(|&byte| {
        let whole = byte != b'\n' || before == b'\r';
        before = byte;
        whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests of every framing, one after the other.
    const SOUND: &[&str] = &[
        "GET /a HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST /b HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nG\r\n\r\n",
        "\r\nPOST /c HTTP/1.1\r\nhost: a\r\nTransfer-Encoding:  Chunked \r\n\r\n\
         4;x=\"y\"\r\n\r\n\r\n\r\n1b\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n\r\n0\r\n\r\n",
        "POST /d HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
         0\r\nx: content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n",
        "GET /e HTTP/1.0\r\n\r\n",
    ];

    fn followed(stream: &str, piece: usize) -> Heads {
        let mut heads = Heads::new(10, 1024);
        for piece in stream.as_bytes().chunks(piece) {
            heads.follow(piece);
        }
        heads
    }

    #[test]
    fn sound_requests_are_counted_however_they_are_cut() {
        let stream = SOUND.concat().repeat(3);
        for piece in 1..=stream.len() {
            let heads = followed(&stream, piece);
            assert!(heads.is_sound(15), "pieces of {piece}: {}", heads.sound);
            assert!(!heads.is_sound(16), "pieces of {piece}");
            assert!(heads.partial.is_empty(), "pieces of {piece}");
        }
    }

    #[test]
    fn an_ambiguous_request_ends_the_count() {
        let ambiguous = [
            "content-length: 4\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 4",
            "content-length: 4\r\ncontent-length: 4",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked, chunked",
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: identity",
            "transfer-encoding: \u{b}chunked",
            "content-length: 0\nx: y",
            "content-length: -0",
            "content-length: 18446744073709551616",
        ];
        for headers in ambiguous {
            let bad = format!("POST / HTTP/1.1\r\nhost: a\r\n{headers}\r\n\r\n");
            let stream = [&SOUND.concat(), &bad, SOUND[0]].concat();
            for piece in [1, 7, stream.len()] {
                let heads = followed(&stream, piece);
                assert!(heads.is_sound(5), "{headers}, pieces of {piece}");
                assert!(!heads.is_sound(6), "{headers}, pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_is_held_is_bounded() {
        let long = "a".repeat(5000);
        for start in [
            format!("GET /{long}"),
            format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;{long}"),
            format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: {long}"),
        ] {
            let heads = followed(&start, 100);
            assert_eq!((heads.next, heads.partial.len()), (Next::Nothing, 0));
        }
    }
}
