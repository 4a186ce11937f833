//! The demo: its backend asked directly, and the command as a user runs it.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use qat_gateway::cli::demo::backend;
use support::client::grpc::{Inference, ask};
use support::process::Process;
use support::tool::require_tool;

use crate::EXECUTABLE;

fn start() -> backend::BackendHandle {
    let any = ([127, 0, 0, 1], 0).into();
    backend::spawn(any).expect("a backend")
}

fn curl(arguments: &[&str]) -> Option<String> {
    let output = require_tool("curl")?
        .args(["-sS", "--noproxy", "*", "--max-time", "60"])
        .args(arguments)
        .output()
        .expect("curl runs");
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn the_backend_infers() {
    let backend = start();
    let mut client = Inference::direct(backend.address()).await.gzip();
    let answer = client.predict("hello").await.expect("an answer");
    assert_eq!(answer, "prediction for hello");
    let mut words = client.predict_stream("a b").await.expect("a stream");
    let mut all = Vec::new();
    while let Some(word) = words.message().await.expect("a word") {
        all.push(word.output_data);
    }
    assert_eq!(all, ["prediction ", "for ", "a ", "b"]);
    let inputs = || tokio_stream::iter(["a", "b"].map(ask));
    let collected = client.collect(inputs()).await.expect("an answer");
    assert_eq!(collected, "prediction for a b");
    let mut answers = client.chat(inputs()).await.expect("a stream");
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await.expect("an answer") {
        all.push(answer.output_data);
    }
    assert_eq!(all, ["prediction for a", "prediction for b"]);
    let request = tonic::Request::new(ask("x"));
    let missing = client.unary("Missing", request).await;
    let code = missing.expect_err("no such method").code();
    assert_eq!(code, tonic::Code::Unimplemented);
}

#[test]
fn the_backend_completes_chats_as_json_and_as_events() {
    let backend = start();
    let url = format!("http://{}/v1/chat/completions", backend.address());
    let ask = r#"{"messages":[{"role":"user","content":"hello there"}]}"#;
    let Some(answer) = curl(&["-d", ask, &url]) else {
        return;
    };
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    let message = &answer["choices"][0]["message"]["content"];
    assert_eq!(message, "You said: hello there");
    assert_eq!(answer["usage"]["total_tokens"], 6);
    let ask = r#"{"stream":true,"messages":[{"role":"user","content":"hello there"}]}"#;
    let events = curl(&["-N", "-d", ask, &url]).expect("curl was here");
    let mut words = String::new();
    let mut lines = events.lines().filter(|line| !line.is_empty());
    for line in lines.by_ref() {
        let data = line.strip_prefix("data: ").expect("an event");
        if data == "[DONE]" {
            break;
        }
        let chunk: serde_json::Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(chunk["object"], "chat.completion.chunk");
        words += chunk["choices"][0]["delta"]["content"]
            .as_str()
            .unwrap_or("");
    }
    assert_eq!(words, "You said: hello there");
    assert_eq!(lines.next(), None);
}

#[test]
fn the_backend_refuses_what_it_cannot_do() {
    let backend = start();
    let base = format!("http://{}", backend.address());
    let chat = format!("{base}/v1/chat/completions");
    let status = ["-o", "/dev/null", "-w", "%{http_code}"];
    let ask = |arguments: &[&str]| curl(&[&status[..], arguments].concat());
    let Some(missing) = ask(&[&format!("{base}/nowhere")]) else {
        return;
    };
    assert_eq!(missing, "404");
    assert_eq!(ask(&[&chat]).as_deref(), Some("405"));
    for bad in [
        "no json",
        "{}",
        r#"{"messages":[]}"#,
        r#"{"messages":[{"content":1}]}"#,
    ] {
        assert_eq!(ask(&["-d", bad, &chat]).as_deref(), Some("400"), "{bad}");
    }
}

#[test]
fn the_backend_speaks_both_versions_and_echoes() {
    let backend = start();
    let base = format!("http://{}", backend.address());
    for (version, name) in [
        ("--http1.1", "HTTP/1.1"),
        ("--http2-prior-knowledge", "HTTP/2.0"),
    ] {
        let Some(echoed) = curl(&[version, "-d", "anything", &format!("{base}/echo")]) else {
            return;
        };
        assert_eq!(echoed, "anything");
        let url = format!("{base}/echo/headers?q=1");
        let head = curl(&[version, "-H", "x-a: b", &url]).expect("curl was here");
        let head: serde_json::Value = serde_json::from_str(&head).expect("JSON");
        assert_eq!(head["version"], name);
        assert_eq!(head["path"], "/echo/headers?q=1");
        assert_eq!(head["headers"]["x-a"], "b");
    }
    let models = curl(&[&format!("{base}/v1/models")]).expect("curl was here");
    assert!(models.contains(r#""id":"demo""#), "{models}");
}

#[test]
fn the_backend_stops_and_its_address_is_free_again() {
    let backend = start();
    let address = backend.address();
    backend.stop();
    backend::spawn(address).expect("the address is free").stop();
}

#[test]
fn a_taken_address_is_an_error() {
    let backend = start();
    assert!(backend::spawn(backend.address()).is_err());
}

/// Each command that the demo prints, after its comment.
fn printed(text: &str) -> Vec<String> {
    let blocks = text
        .split("\n\n")
        .filter_map(|block| block.split_once('\n'));
    blocks
        .filter(|(comment, _)| comment.starts_with("# "))
        .map(|(_, command)| command.to_owned())
        .collect()
}

#[test]
fn what_the_demo_prints_works_until_ctrl_c() {
    if require_tool("curl").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| File::create(folder.path().join(name)).expect("a file");
    let demo = Command::new(EXECUTABLE)
        .args(["demo", "--port", "0", "--admin-port", "0"])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .spawn();
    let mut demo = Process(demo.expect("it runs"));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("text");
    let commands = support::eventually("the commands", || {
        assert!(demo.ended().is_none(), "{}", read("stderr"));
        let commands = printed(&read("stdout"));
        commands.last()?.contains("/metrics").then_some(commands)
    });
    let mut outputs = Vec::new();
    for command in commands
        .iter()
        .filter(|command| command.starts_with("curl "))
    {
        let output = Command::new("sh")
            .args(["-ec", command])
            .env("NO_PROXY", "*")
            .output()
            .expect("a shell");
        assert!(output.status.success(), "{command}: {output:?}");
        outputs.push(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let [json, events, echo, headers, metrics] = &outputs[..] else {
        panic!("{commands:#?}");
    };
    assert!(json.contains("You said: hello gateway"), "{json}");
    assert!(events.ends_with("data: [DONE]\n\n"), "{events}");
    assert_eq!(echo, "anything");
    assert!(
        headers.contains("\"x-forwarded-proto\":\"https\""),
        "{headers}"
    );
    assert!(
        metrics.contains("gateway_route_requests_total"),
        "{metrics}"
    );
    let python = commands
        .iter()
        .find(|command| command.starts_with("python3"));
    run_python(python.expect("a Python command"));
    demo.interrupt();
    let status = demo.wait(support::PATIENCE);
    assert_eq!(status.code(), Some(0), "{}", read("stderr"));
    assert_eq!(left_over(folder.path()), [""; 0]);
}

fn run_python(command: &str) {
    let Some(python) = support::tool::require_grpcio() else {
        return;
    };
    let program = python.get_program().to_string_lossy().into_owned();
    let command = command.replacen("python3", &program, 1);
    let output = Command::new("sh")
        .args(["-ec", &command])
        .env("no_proxy", "localhost")
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("prediction for hello"), "{output:?}");
}

/// What the demo made and did not take away.
fn left_over(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names
        .filter(|name| name != "stdout" && name != "stderr")
        .collect()
}
