//! `inference.InferenceService` of `config/inference.proto`, with tonic and without
//! protoc: four methods are fewer lines by hand than a build step.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use http::{Request, Response};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::server::{
    ClientStreamingService, Grpc, ServerStreamingService, StreamingService, UnaryService,
};
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

/// Longest `Collect`, bytes: all other methods keep one message at most.
const COLLECT_LIMIT: usize = 1024 * 1024;
/// Between two words of a stream.
const WORD_PAUSE: Duration = Duration::from_millis(30);

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct InferenceRequest {
    #[prost(string, tag = "1")]
    input_data: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct InferenceResponse {
    #[prost(string, tag = "1")]
    output_data: String,
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<tonic::Response<T>, Status>> + Send>>;
type Answers = Pin<Box<dyn Stream<Item = Result<InferenceResponse, Status>> + Send>>;

/// Calls the method of that name.
pub(super) async fn call(method: &str, request: Request<Incoming>) -> Response<Body> {
    let codec = ProstCodec::<InferenceResponse, InferenceRequest>::default();
    let mut grpc = Grpc::new(codec)
        .accept_compressed(Gzip)
        .send_compressed(Gzip);
    match method {
        "Predict" => grpc.unary(Predict, request).await,
        "PredictStream" => grpc.server_streaming(PredictStream, request).await,
        "Collect" => grpc.client_streaming(Collect, request).await,
        "Chat" => grpc.streaming(Chat, request).await,
        _ => Status::unimplemented("no such method").into_http(),
    }
}

/// The model.
fn predict(input: &str) -> String {
    format!("prediction for {input}")
}

fn response(output_data: String) -> InferenceResponse {
    InferenceResponse { output_data }
}

struct Predict;

impl UnaryService<InferenceRequest> for Predict {
    type Response = InferenceResponse;
    type Future = Answer<InferenceResponse>;

    fn call(&mut self, request: tonic::Request<InferenceRequest>) -> Self::Future {
        let output = predict(&request.into_inner().input_data);
        Box::pin(async { Ok(tonic::Response::new(response(output))) })
    }
}

struct PredictStream;

impl ServerStreamingService<InferenceRequest> for PredictStream {
    type Response = InferenceResponse;
    type ResponseStream = Answers;
    type Future = Answer<Answers>;

    fn call(&mut self, request: tonic::Request<InferenceRequest>) -> Self::Future {
        let output = predict(&request.into_inner().input_data);
        let answers = words(&output).map(|word| Ok(response(word)));
        Box::pin(async { Ok(tonic::Response::new(answers.boxed())) })
    }
}

struct Collect;

impl ClientStreamingService<InferenceRequest> for Collect {
    type Response = InferenceResponse;
    type Future = Answer<InferenceResponse>;

    fn call(&mut self, request: tonic::Request<Streaming<InferenceRequest>>) -> Self::Future {
        let mut inputs = request.into_inner();
        Box::pin(async move {
            let mut all: Vec<String> = Vec::new();
            let mut bytes = 0;
            while let Some(request) = inputs.message().await? {
                bytes += request.input_data.len() + 1;
                if bytes > COLLECT_LIMIT {
                    return Err(Status::resource_exhausted("more than 1 MiB collected"));
                }
                all.push(request.input_data);
            }
            Ok(tonic::Response::new(response(predict(&all.join(" ")))))
        })
    }
}

struct Chat;

impl StreamingService<InferenceRequest> for Chat {
    type Response = InferenceResponse;
    type ResponseStream = Answers;
    type Future = Answer<Answers>;

    fn call(&mut self, request: tonic::Request<Streaming<InferenceRequest>>) -> Self::Future {
        let answers = request
            .into_inner()
            .map_ok(|request| response(predict(&request.input_data)));
        Box::pin(async { Ok(tonic::Response::new(answers.boxed())) })
    }
}

/// A text word by word, each but the first after a pause.
pub(super) fn words(text: &str) -> impl Stream<Item = String> + Send + use<> {
    let words: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    stream::iter(words.into_iter().enumerate()).then(|(at, word)| async move {
        if at > 0 {
            tokio::time::sleep(WORD_PAUSE).await;
        }
        word
    })
}
