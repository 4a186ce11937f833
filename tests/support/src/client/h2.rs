//! An HTTP/2 client over TLS, for what curl cannot show: resets with their codes,
//! windows, trailers, many streams at once.

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::{HeaderMap, Request, Response};
use openssl::ssl::SslRef;
use tokio::net::TcpStream;

use super::tls::{self, Options};
use crate::{Gateway, in_time};

/// One connection.
pub struct Client {
    pub requests: SendRequest<Bytes>,
    pub ssl: Session,
    driver: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

/// What the handshake came to.
#[derive(Clone, Debug)]
pub struct Session {
    pub version: String,
    pub cipher: String,
    pub alpn: Vec<u8>,
    pub resumed: bool,
}

impl Session {
    pub fn of(ssl: &SslRef) -> Session {
        let cipher = ssl.current_cipher().map_or("", |cipher| cipher.name());
        Session {
            version: ssl.version_str().to_owned(),
            cipher: cipher.to_owned(),
            alpn: ssl.selected_alpn_protocol().unwrap_or_default().to_vec(),
            resumed: ssl.session_reused(),
        }
    }
}

/// A response read to its end.
#[derive(Debug)]
pub struct Whole {
    pub head: Response<()>,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl Whole {
    pub fn status(&self) -> u16 {
        self.head.status().as_u16()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers().get(name)?.to_str().ok()
    }
}

impl Client {
    pub async fn connect(gateway: &Gateway) -> Client {
        Client::connect_with(gateway, &Options::default(), Builder::new()).await
    }

    /// # Panics
    /// If the handshake of TLS or of HTTP/2 fails.
    pub async fn connect_with(gateway: &Gateway, options: &Options, builder: Builder) -> Client {
        let tcp = tls::tcp(gateway.address()).await;
        Client::connect_over(tcp, gateway, options, builder).await
    }

    /// On a connection that is there already.
    ///
    /// # Panics
    /// If the handshake of TLS or of HTTP/2 fails.
    pub async fn connect_over(
        tcp: TcpStream,
        gateway: &Gateway,
        options: &Options,
        builder: Builder,
    ) -> Client {
        let stream = tls::handshake(tls::session(gateway, options), tcp).await;
        let stream = stream.expect("TLS");
        let ssl = Session::of(stream.ssl());
        let (requests, connection) = in_time("HTTP/2", builder.handshake(stream))
            .await
            .expect("HTTP/2");
        Client {
            requests,
            ssl,
            driver: tokio::spawn(connection),
        }
    }

    /// In plaintext, straight to a backend.
    pub async fn direct(address: std::net::SocketAddr) -> Client {
        let stream = tls::tcp(address).await;
        let handshake = Builder::new().handshake(stream);
        let (requests, connection) = in_time("HTTP/2", handshake).await.expect("HTTP/2");
        Client {
            requests,
            ssl: Session {
                version: String::new(),
                cipher: String::new(),
                alpn: Vec::new(),
                resumed: false,
            },
            driver: tokio::spawn(connection),
        }
    }

    /// Waits until a stream may be opened, and sends the request's head.
    pub async fn send(
        &mut self,
        request: Request<()>,
        end: bool,
    ) -> Result<(h2::client::ResponseFuture, h2::SendStream<Bytes>), h2::Error> {
        let ready = self.requests.clone().ready();
        self.requests = in_time("room for a stream", ready).await?;
        self.requests.send_request(request, end)
    }

    /// A GET, read to its end.
    pub async fn get(&mut self, path: &str) -> Result<Whole, h2::Error> {
        let (response, _) = self.send(request("GET", path), true).await?;
        whole(response).await
    }

    /// A POST of these bytes, read to its end.
    pub async fn post(&mut self, path: &str, body: Bytes) -> Result<Whole, h2::Error> {
        let (response, mut stream) = self.send(request("POST", path), false).await?;
        let sending = crate::backend::h2::send(&mut stream, body, true);
        let (sent, received) = tokio::join!(sending, whole(response));
        // An answer may come before all was sent.
        if received.is_err() {
            sent?;
        }
        received
    }

    /// How the connection ended.
    pub async fn closed(self) -> Result<(), h2::Error> {
        drop(self.requests);
        let ended = in_time("the connection's end", self.driver).await;
        ended.expect("the driver's result")
    }

    /// Ends the connection at once.
    pub fn abort(self) {
        self.driver.abort();
    }
}

/// A request for `https://localhost` and the path.
pub fn request(method: &str, path: &str) -> Request<()> {
    Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"))
        .body(())
        .expect("a request")
}

/// Reads a response to its end, trailers included.
pub async fn whole(response: h2::client::ResponseFuture) -> Result<Whole, h2::Error> {
    in_time("a response", async {
        let (parts, mut stream) = response.await?.into_parts();
        let mut body = Vec::new();
        while let Some(data) = stream.data().await {
            let data = data?;
            body.extend_from_slice(&data);
            let _ = stream.flow_control().release_capacity(data.len());
        }
        let trailers = stream.trailers().await?;
        Ok(Whole {
            head: Response::from_parts(parts, ()),
            body,
            trailers,
        })
    })
    .await
}
