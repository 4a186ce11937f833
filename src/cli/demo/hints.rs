//! The commands to try, as `demo` prints them.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The service's definition, for clients that need the file.
const PROTO: &str = include_str!("../../../config/inference.proto");

/// Writes `inference.proto` into `folder`, for the grpcurl line of [`commands`].
///
/// # Errors
/// The file cannot be written.
pub fn write_proto(folder: &Path) -> io::Result<()> {
    fs::write(folder.join("inference.proto"), PROTO)
}

/// Commands for a shell, each after a line that says what it shows.
///
/// `address`: the gateway's; `folder`: where [`super::certificate::make`] and
/// [`write_proto`] wrote; `authority`: the certificate to trust.
pub fn commands(address: SocketAddr, admin: SocketAddr, folder: &Path, authority: &Path) -> String {
    let port = address.port();
    let (folder, ca) = (folder.display(), authority.display());
    let base = format!("https://localhost:{port}");
    format!(
        r#"# JSON over HTTP/2, as an OpenAI client would ask
curl --cacert {ca} {base}/v1/chat/completions -d '{{"messages":[{{"role":"user","content":"hello gateway"}}]}}'

# The same as server-sent events, word by word
curl --cacert {ca} -N {base}/v1/chat/completions -d '{{"stream":true,"messages":[{{"role":"user","content":"hello gateway"}}]}}'

# HTTP/1.1 from the client, HTTP/2 to the backend
curl --cacert {ca} --http1.1 {base}/echo -d 'anything'

# What the backend was sent
curl --cacert {ca} {base}/echo/headers

# gRPC with grpcurl
grpcurl -cacert {ca} -import-path {folder} -proto inference.proto -d '{{"input_data":"hello"}}' localhost:{port} inference.InferenceService/Predict

# gRPC with Python (pip install grpcio)
python3 - <<'END'
import grpc
trust = grpc.ssl_channel_credentials(open("{ca}", "rb").read())
with grpc.secure_channel("localhost:{port}", trust) as channel:
    predict = channel.unary_unary("/inference.InferenceService/Predict")
    print(predict(b"\x0a\x05hello"))  # field 1, five bytes
END

# How the gateway is doing
curl http://{admin}/metrics
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_name_what_they_need() {
        let (address, admin) = ("0.0.0.0:8443", "127.0.0.1:9901");
        let text = commands(
            address.parse().expect("an address"),
            admin.parse().expect("an address"),
            Path::new("/tmp/demo"),
            Path::new("/tmp/demo/authority.pem"),
        );
        assert_eq!(text.matches("--cacert /tmp/demo/authority.pem").count(), 4);
        assert!(text.contains("https://localhost:8443/v1/chat/completions"));
        assert!(text.contains(r#"-d '{"input_data":"hello"}'"#));
        assert!(text.contains("curl http://127.0.0.1:9901/metrics"));
    }
}
