//! Reads a PROXY protocol header, version 1 or 2, in front of everything else.
//!
//! The header is looked at without being taken (MSG_PEEK) until it is whole, then
//! exactly its bytes are read: what follows belongs to TLS, which reads the socket
//! itself.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ppp::{HeaderResult, PartialResult, v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::ProxyProtocolParams;

/// Longest header taken. Version 1 has at most 107 bytes; version 2 carries 232 of
/// addresses, the rest are extensions.
const LONGEST: usize = 2048;
/// Between looks at a header that came in pieces, which is rare.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Debug, thiserror::Error)]
pub enum ProxyProtocolError {
    #[error("{0} is not in a trusted network")]
    Untrusted(IpAddr),
    #[error("no PROXY header in time")]
    Timeout,
    #[error("not a PROXY header")]
    Malformed,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The client's address as the header tells it; the peer's own where the header says
/// LOCAL or UNKNOWN.
pub async fn read(
    tcp: &mut TcpStream,
    peer: SocketAddr,
    params: &ProxyProtocolParams,
) -> Result<SocketAddr, ProxyProtocolError> {
    let ip = peer.ip().to_canonical();
    if !params.trusted.iter().any(|network| network.contains(&ip)) {
        return Err(ProxyProtocolError::Untrusted(ip));
    }
    let header = tokio::time::timeout(params.timeout, take(tcp));
    let source = header.await.map_err(|_| ProxyProtocolError::Timeout)??;
    Ok(source.unwrap_or(peer))
}

async fn take(tcp: &mut TcpStream) -> Result<Option<SocketAddr>, ProxyProtocolError> {
    let mut buffer = [0; LONGEST];
    let (length, source) = loop {
        let seen = tcp.peek(&mut buffer).await?;
        if seen == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let header = HeaderResult::parse(&buffer[..seen]);
        if header.is_complete() {
            break parsed(&header)?;
        }
        if seen == LONGEST {
            return Err(ProxyProtocolError::Malformed);
        }
        tokio::time::sleep(PAUSE).await;
    };
    tcp.read_exact(&mut buffer[..length]).await?;
    Ok(source)
}

fn parsed(header: &HeaderResult<'_>) -> Result<(usize, Option<SocketAddr>), ProxyProtocolError> {
    match header {
        HeaderResult::V1(Ok(header)) => Ok((header.header.len(), source_v1(&header.addresses))),
        HeaderResult::V2(Ok(header)) => {
            let proxied = header.command == v2::Command::Proxy;
            let source = proxied.then(|| source_v2(&header.addresses)).flatten();
            Ok((header.len(), source))
        }
        _ => Err(ProxyProtocolError::Malformed),
    }
}

fn source_v1(addresses: &v1::Addresses) -> Option<SocketAddr> {
    match addresses {
        v1::Addresses::Tcp4(a) => Some((a.source_address, a.source_port).into()),
        v1::Addresses::Tcp6(a) => Some((a.source_address, a.source_port).into()),
        v1::Addresses::Unknown => None,
    }
}

fn source_v2(addresses: &v2::Addresses) -> Option<SocketAddr> {
    match addresses {
        v2::Addresses::IPv4(a) => Some((a.source_address, a.source_port).into()),
        v2::Addresses::IPv6(a) => Some((a.source_address, a.source_port).into()),
        v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn exchange(
        pieces: &[&[u8]],
        trusted: &str,
    ) -> (Result<SocketAddr, ProxyProtocolError>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (mut server, peer) = listener.accept().await.unwrap();
        let params = ProxyProtocolParams {
            trusted: vec![trusted.parse().unwrap()],
            timeout: Duration::from_millis(300),
        };
        let send = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let (result, ()) = tokio::join!(read(&mut server, peer, &params), send);
        drop(client);
        let mut rest = Vec::new();
        let _ = server.read_to_end(&mut rest).await;
        (result, rest)
    }

    #[tokio::test]
    async fn both_versions_give_the_source_and_leave_what_follows() {
        let v1: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 443\r\n\x16\x03";
        let (source, rest) = exchange(&[v1], "127.0.0.0/8").await;
        assert_eq!(source.unwrap(), "192.0.2.7:4000".parse().unwrap());
        assert_eq!(rest, b"\x16\x03");

        let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
        v2.extend([192, 0, 2, 9, 192, 0, 2, 1, 0x0f, 0xa0, 0x01, 0xbb]);
        let (head, tail) = v2.split_at(20);
        let (source, rest) = exchange(&[head, tail, b"rest"], "127.0.0.0/8").await;
        assert_eq!(source.unwrap(), "192.0.2.9:4000".parse().unwrap());
        assert_eq!(rest, b"rest");
    }

    #[tokio::test]
    async fn local_and_unknown_keep_the_peers_own_address() {
        for header in [
            &b"PROXY UNKNOWN\r\n"[..],
            b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0",
        ] {
            let (source, _) = exchange(&[header], "127.0.0.0/8").await;
            assert_eq!(source.unwrap().ip(), IpAddr::from([127, 0, 0, 1]));
        }
    }

    #[tokio::test]
    async fn lies_and_silence_are_refused() {
        let v1: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 443\r\n";
        let (result, _) = exchange(&[v1], "10.0.0.0/8").await;
        assert!(matches!(result, Err(ProxyProtocolError::Untrusted(_))));
        let (result, _) = exchange(
            &[b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03hello there"],
            "127.0.0.0/8",
        )
        .await;
        assert!(matches!(result, Err(ProxyProtocolError::Malformed)));
        let (result, _) = exchange(&[b"PROXY TCP4 "], "127.0.0.0/8").await;
        assert!(matches!(result, Err(ProxyProtocolError::Timeout)));
    }
}
