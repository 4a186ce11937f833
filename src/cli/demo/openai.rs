//! The two paths of OpenAI's API that every inference server imitates
//! (<https://platform.openai.com/docs/api-reference/chat>).

use std::convert::Infallible;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tonic::body::Body;

use super::backend;
use super::inference::words;

const MODEL: &str = "demo";
/// Longest question, bytes.
const BODY_LIMIT: usize = 1024 * 1024;

pub(super) fn models() -> Response<Body> {
    let model = json!({ "id": MODEL, "object": "model", "owned_by": "qat-gateway" });
    backend::json(
        StatusCode::OK,
        &json!({ "object": "list", "data": [model] }),
    )
}

pub(super) async fn chat(request: Request<Incoming>) -> Response<Body> {
    let body = match Limited::new(request.into_body(), BODY_LIMIT)
        .collect()
        .await
    {
        Ok(body) => body.to_bytes(),
        Err(_) => return refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is over 1 MiB"),
    };
    let Ok(question) = serde_json::from_slice::<Value>(&body) else {
        return refused(StatusCode::BAD_REQUEST, "the body is not JSON");
    };
    let Some(last) = last_message(&question) else {
        return refused(
            StatusCode::BAD_REQUEST,
            "messages needs an entry with a text as content",
        );
    };
    let answer = format!("You said: {last}");
    if question["stream"] == true {
        return events(&answer);
    }
    let (prompt, completion) = (last.split_whitespace().count(), answer.split(' ').count());
    let choice = json!({
        "index": 0,
        "message": { "role": "assistant", "content": answer },
        "finish_reason": "stop",
    });
    let mut value = envelope("chat.completion", choice);
    value["usage"] = json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    });
    backend::json(StatusCode::OK, &value)
}

fn last_message(question: &Value) -> Option<&str> {
    question["messages"].as_array()?.last()?["content"].as_str()
}

/// Server-sent events: a chunk a word, as the model writes it, then `[DONE]`.
fn events(answer: &str) -> Response<Body> {
    let chunks = words(answer).map(|word| chunk(json!({ "content": word }), Value::Null));
    let ends = [chunk(json!({}), "stop".into()), "data: [DONE]\n\n".into()];
    let frames = chunks
        .chain(stream::iter(ends))
        .map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/event-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn chunk(delta: Value, finish_reason: Value) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish_reason });
    format!("data: {}\n\n", envelope("chat.completion.chunk", choice))
}

fn envelope(object: &str, choice: Value) -> Value {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    json!({
        "id": "chatcmpl-demo",
        "object": object,
        "created": since.map_or(0, |since| since.as_secs()),
        "model": MODEL,
        "choices": [choice],
    })
}

fn refused(status: StatusCode, message: &str) -> Response<Body> {
    let error = json!({ "message": message, "type": "invalid_request_error" });
    backend::json(status, &json!({ "error": error }))
}
