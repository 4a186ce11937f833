//! An HTTP/2 client that writes its frames itself (RFC 9113 4.1), for requests that no
//! library would send. Fields are literals without Huffman code (RFC 7541 6.2.2).

use super::raw::Raw;
use super::tls::Options;
use crate::Gateway;
use crate::backend::raw::{
    ACK, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, RST_STREAM, SETTINGS,
};

pub struct Frames {
    raw: Raw,
    stream: u32,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200.
    Ok,
    /// A response with another status.
    Refused,
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY with an error, or the connection has ended.
    Closed,
}

impl Frames {
    /// Connects, and sends the preface.
    pub fn connect(gateway: &Gateway) -> Frames {
        let mut raw = Raw::connect_with(gateway, &Options::default());
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut frames = Frames { raw, stream: 0 };
        frames.send(SETTINGS, 0, 0, &[]);
        frames
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = (payload.len() as u32).to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.raw.send(&frame);
    }

    /// A request of these fields, pseudo-header fields among them, and this body; none:
    /// it ends with its head.
    pub fn request(&mut self, fields: &[(&str, &str)], body: Option<&str>) -> Answer {
        self.stream = if self.stream == 0 { 1 } else { self.stream + 2 };
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                assert!(text.len() < 127, "one byte has the length");
                block.push(text.len() as u8);
                block.extend(text.as_bytes());
            }
        }
        let end = if body.is_none() { END_STREAM } else { 0 };
        self.send(HEADERS, END_HEADERS | end, self.stream, &block);
        if let Some(body) = body {
            self.send(DATA, END_STREAM, self.stream, body.as_bytes());
        }
        self.answer()
    }

    fn answer(&mut self) -> Answer {
        loop {
            let Some(frame) = self.next() else {
                return Answer::Closed;
            };
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]),
                // Not the graceful one.
                GOAWAY if frame.payload[4..8] != [0; 4] => return Answer::Closed,
                _ if frame.stream != self.stream => {}
                // The first field of a response is its status; 8 is 200.
                HEADERS if frame.payload[0] == 0x88 => return Answer::Ok,
                HEADERS => return Answer::Refused,
                RST_STREAM => {
                    let code = frame.payload.try_into().expect("four bytes");
                    return Answer::Reset(u32::from_be_bytes(code));
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.raw.read_exact(&mut head)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.raw.read_exact(&mut payload)?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff,
            payload,
        })
    }
}
