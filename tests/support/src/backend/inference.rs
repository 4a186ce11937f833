//! `inference.InferenceService` by tonic, with gzip both ways. What the input says,
//! happens:
//!
//! | input | output |
//! |---|---|
//! | `fail:N:TEXT` | the status N with that message |
//! | `sleep:N` | after N milliseconds |
//! | `big:N` | N letters |
//! | `metadata` | the request's metadata, a line each |
//! | other | `prediction for ` and the input |

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::server::{
    ClientStreamingService, Grpc, ServerStreamingService, StreamingService, UnaryService,
};
use tonic::{Code, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{Ended, Record};

#[derive(Clone, PartialEq, prost::Message)]
pub struct InferenceRequest {
    #[prost(string, tag = "1")]
    pub input_data: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct InferenceResponse {
    #[prost(string, tag = "1")]
    pub output_data: String,
}

pub const SERVICE: &str = "inference.InferenceService";

pub(super) async fn connection(stream: TcpStream, number: usize, record: Arc<Record>) {
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let record = record.clone();
        async move { Ok::<_, std::convert::Infallible>(call(request, number, record).await) }
    });
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
    record.disconnected();
}

async fn call(request: Request<Incoming>, number: usize, record: Arc<Record>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let seen = record.begun(number, &parts);
    let method = parts.uri.path().rsplit('/').next().unwrap_or("").to_owned();
    let request = Request::from_parts(parts, body);
    let mut grpc = Grpc::new(ProstCodec::<InferenceResponse, InferenceRequest>::default())
        .accept_compressed(Gzip)
        .send_compressed(Gzip);
    // Cancelled by a reset, the future is dropped: the guard records it.
    let guard = Guard { record, seen };
    let response = match method.as_str() {
        "Predict" => grpc.unary(Service, request).await,
        "PredictStream" => grpc.server_streaming(Service, request).await,
        "Collect" => grpc.client_streaming(Service, request).await,
        "Chat" => grpc.streaming(Service, request).await,
        _ => Status::unimplemented("no such method").into_http(),
    };
    guard.record.ended(seen, Ended::Complete);
    response
}

struct Guard {
    record: Arc<Record>,
    seen: usize,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.record.ended(self.seen, Ended::Broken);
    }
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<tonic::Response<T>, Status>> + Send>>;
type Answers = Pin<Box<dyn Stream<Item = Result<InferenceResponse, Status>> + Send>>;

struct Service;

async fn predict(input: &str) -> Result<InferenceResponse, Status> {
    let (word, rest) = input.split_once(':').unwrap_or((input, ""));
    let output_data = match word {
        "fail" => {
            let (code, message) = rest.split_once(':').unwrap_or((rest, ""));
            return Err(Status::new(Code::from_bytes(code.as_bytes()), message));
        }
        "sleep" => {
            let pause = rest
                .parse()
                .map_err(|_| Status::invalid_argument("sleep"))?;
            tokio::time::sleep(Duration::from_millis(pause)).await;
            "slept".to_owned()
        }
        "big" => {
            let letters = rest.parse().map_err(|_| Status::invalid_argument("big"))?;
            "x".repeat(letters)
        }
        _ => format!("prediction for {input}"),
    };
    Ok(InferenceResponse { output_data })
}

impl UnaryService<InferenceRequest> for Service {
    type Response = InferenceResponse;
    type Future = Answer<InferenceResponse>;

    fn call(&mut self, request: tonic::Request<InferenceRequest>) -> Self::Future {
        Box::pin(async move {
            if request.get_ref().input_data == "metadata" {
                let headers = request.metadata().as_ref().iter();
                let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                    format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))
                };
                let output_data = headers.map(line).collect();
                return Ok(tonic::Response::new(InferenceResponse { output_data }));
            }
            let response = predict(&request.get_ref().input_data).await?;
            Ok(tonic::Response::new(response))
        })
    }
}

/// Five answers, the input's failure last.
impl ServerStreamingService<InferenceRequest> for Service {
    type Response = InferenceResponse;
    type ResponseStream = Answers;
    type Future = Answer<Answers>;

    fn call(&mut self, request: tonic::Request<InferenceRequest>) -> Self::Future {
        let input = request.into_inner().input_data;
        let answers = stream::iter(0..5).then(move |at| {
            let input = input.clone();
            async move {
                if at < 4 {
                    let output_data = format!("part {at}");
                    return Ok(InferenceResponse { output_data });
                }
                predict(&input).await
            }
        });
        Box::pin(async { Ok(tonic::Response::new(answers.boxed())) })
    }
}

impl ClientStreamingService<InferenceRequest> for Service {
    type Response = InferenceResponse;
    type Future = Answer<InferenceResponse>;

    fn call(&mut self, request: tonic::Request<Streaming<InferenceRequest>>) -> Self::Future {
        let mut inputs = request.into_inner();
        Box::pin(async move {
            let mut all: Vec<String> = Vec::new();
            while let Some(request) = inputs.message().await? {
                all.push(request.input_data);
            }
            let response = predict(&all.join(" ")).await?;
            Ok(tonic::Response::new(response))
        })
    }
}

impl StreamingService<InferenceRequest> for Service {
    type Response = InferenceResponse;
    type ResponseStream = Answers;
    type Future = Answer<Answers>;

    fn call(&mut self, request: tonic::Request<Streaming<InferenceRequest>>) -> Self::Future {
        let answers = request.into_inner().then(async |request| match request {
            Ok(request) => predict(&request.input_data).await,
            Err(status) => Err(status),
        });
        Box::pin(async { Ok(tonic::Response::new(answers.boxed())) })
    }
}
