//! `demo`: all of it on one machine, out of nothing.

use std::io;
use std::process::ExitCode;

use super::{backend, certificate, hints};
use crate::cli::run;
use crate::error::exit;
use crate::{config, telemetry};

/// Starts backend and gateway, prints what to try, serves until a signal.
pub fn run(port: u16, admin_port: u16) -> ExitCode {
    match start(port, admin_port) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::from(exit::OS)
        }
    }
}

fn start(port: u16, admin_port: u16) -> io::Result<ExitCode> {
    let folder = Folder::new()?;
    let certificates = certificate::make(&folder.0)?;
    hints::write_proto(&folder.0)?;
    let backend = backend::spawn(([127, 0, 0, 1], 0).into())?;
    let text = format!(
        "\
admin: {{ address: 127.0.0.1:{admin_port} }}
log: {{ filter: warn, access: off }}
drain: {{ timeout: 5s }}
listeners:
  - name: demo
    address: 127.0.0.1:{port}
    tls:
      certificates:
        - {{ certificate_chain: {}, private_key: {} }}
        - {{ certificate_chain: {}, private_key: {} }}
    routes:
      - cluster: inference
clusters:
  - name: inference
    endpoints: [\"{}\"]
",
        quoted(&certificates.ecdsa.certificate_chain),
        quoted(&certificates.ecdsa.private_key),
        quoted(&certificates.rsa.certificate_chain),
        quoted(&certificates.rsa.private_key),
        backend.address(),
    );
    let loaded = match config::load_str("demo", &text, &folder.0, &|_| None) {
        Ok(loaded) => loaded,
        Err(problems) => {
            eprint!("{problems}");
            return Ok(ExitCode::from(exit::SOFTWARE));
        }
    };
    telemetry::init(&loaded.params.log);
    let code = run::serve(loaded, None, |gateway| {
        let address = gateway.addresses.first().copied();
        if let (Some(address), Some(admin)) = (address, gateway.admin) {
            let authority = &certificates.authority;
            println!("{}", hints::commands(address, admin, &folder.0, authority));
        }
    });
    backend.stop();
    Ok(code)
}

/// A path as a YAML string, which double-quoted JSON is.
fn quoted(path: &std::path::Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}

/// A folder of its own that goes with the demo.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> io::Result<Folder> {
        let name = format!("qat-gateway-demo-{:016x}", fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
