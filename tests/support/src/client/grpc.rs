//! tonic's client, over TLS by OpenSSL.

use futures_util::stream::Stream;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::tls::{self, Options};
use crate::Gateway;
use crate::backend::inference::{InferenceRequest, InferenceResponse};

/// `inference.InferenceService` as a client sees it.
pub struct Inference(tonic::client::Grpc<Channel>);

type Codec = ProstCodec<InferenceRequest, InferenceResponse>;

impl Inference {
    /// Connects through the gateway.
    ///
    /// # Panics
    /// If the handshake fails.
    pub async fn connect(gateway: &Gateway) -> Inference {
        let ssl = tls::session(gateway, &Options::default());
        let address = gateway.address();
        // One connection is all a test wants: the connector gives its session away.
        let ssl = std::sync::Mutex::new(Some(ssl));
        let connector = tower::service_fn(move |_| {
            let ssl = ssl.lock().ok().and_then(|mut ssl| ssl.take());
            async move {
                let ssl = ssl.ok_or_else(|| std::io::Error::other("connected already"))?;
                let stream = tls::tcp(address).await;
                let stream = tls::handshake(ssl, stream).await;
                stream.map(TokioIo::new).map_err(std::io::Error::other)
            }
        });
        Inference::over(gateway.url(""), connector).await
    }

    /// Straight to a backend, in plaintext.
    pub async fn direct(address: std::net::SocketAddr) -> Inference {
        let connector = tower::service_fn(move |_| async move {
            Ok::<_, std::io::Error>(TokioIo::new(tls::tcp(address).await))
        });
        Inference::over(format!("http://{address}"), connector).await
    }

    async fn over<C, I>(uri: String, connector: C) -> Inference
    where
        C: tower::Service<http::Uri, Response = I, Error = std::io::Error> + Send + 'static,
        C::Future: Send,
        I: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    {
        let endpoint = Endpoint::try_from(uri).expect("a URI");
        let channel = endpoint.connect_with_connector(connector).await;
        Inference(tonic::client::Grpc::new(channel.expect("connected")))
    }

    /// Sends gzip, and accepts it.
    pub fn gzip(self) -> Inference {
        Inference(self.0.send_compressed(Gzip).accept_compressed(Gzip))
    }

    pub async fn predict(&mut self, input: &str) -> Result<String, Status> {
        let response = self.unary("Predict", Request::new(ask(input))).await?;
        Ok(response.into_inner().output_data)
    }

    /// A unary call of any method, with metadata or a deadline.
    pub async fn unary(
        &mut self,
        method: &str,
        request: Request<InferenceRequest>,
    ) -> Result<Response<InferenceResponse>, Status> {
        self.ready().await?;
        self.0.unary(request, path(method), Codec::default()).await
    }

    pub async fn predict_stream(
        &mut self,
        input: &str,
    ) -> Result<Streaming<InferenceResponse>, Status> {
        self.ready().await?;
        let (request, path) = (Request::new(ask(input)), path("PredictStream"));
        let response = self.0.server_streaming(request, path, Codec::default());
        Ok(response.await?.into_inner())
    }

    pub async fn collect<S>(&mut self, inputs: S) -> Result<String, Status>
    where
        S: Stream<Item = InferenceRequest> + Send + 'static,
    {
        self.ready().await?;
        let (request, path) = (Request::new(inputs), path("Collect"));
        let response = self.0.client_streaming(request, path, Codec::default());
        Ok(response.await?.into_inner().output_data)
    }

    pub async fn chat<S>(&mut self, inputs: S) -> Result<Streaming<InferenceResponse>, Status>
    where
        S: Stream<Item = InferenceRequest> + Send + 'static,
    {
        self.ready().await?;
        let (request, path) = (Request::new(inputs), path("Chat"));
        let response = self.0.streaming(request, path, Codec::default());
        Ok(response.await?.into_inner())
    }

    async fn ready(&mut self) -> Result<(), Status> {
        let ready = self.0.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))
    }
}

pub fn ask(input: &str) -> InferenceRequest {
    InferenceRequest {
        input_data: input.to_owned(),
    }
}

fn path(method: &str) -> PathAndQuery {
    format!("/inference.InferenceService/{method}")
        .parse()
        .expect("a path")
}
