//! A configuration that works, to be changed by a test.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Exited, Gateway};
use crate::certificates::{Authority, Key};
use crate::ports;

/// The configuration's name in the gateway's folder.
pub(super) const FILE: &str = "gateway.yaml";

/// One worker, one TLS listener `edge` with a P-256 certificate for `localhost`, one
/// route to one cluster `backend`. Written as JSON, which YAML contains.
pub struct Setup {
    executable: PathBuf,
    folder: TempDir,
    authority: Authority,
    port: u16,
    admin: SocketAddr,
    config: Value,
    environment: Vec<(String, OsString)>,
}

impl Setup {
    /// `executable`: the gateway's; `backend`: the endpoint of the cluster.
    pub fn new(executable: impl Into<PathBuf>, backend: SocketAddr) -> Setup {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new("Test Authority");
        authority.write(folder.path(), "ca");
        let names = ["localhost", "127.0.0.1"];
        let files = authority
            .server(Key::P256, &names)
            .write(folder.path(), "edge");
        let (port, admin) = (ports::free(), ports::free_address());
        let config = json!({
            "workers": 1,
            "admin": { "address": admin },
            // Whatever the machine has.
            "acceleration": { "prefer": [] },
            "log": { "filter": "info,qat_gateway=debug", "access": "off" },
            "listeners": [{
                "name": "edge",
                "address": SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                "tls": { "certificates": [files.json()] },
                "routes": [{ "cluster": "backend" }],
            }],
            "clusters": [{ "name": "backend", "endpoints": [backend] }],
        });
        Setup {
            executable: executable.into(),
            folder,
            authority,
            port,
            admin,
            config,
            environment: Vec::new(),
        }
    }

    /// Sets the value at a JSON pointer (RFC 6901), making what is missing on the way;
    /// the index after an array's last appends.
    pub fn set(mut self, pointer: &str, value: impl Into<Value>) -> Setup {
        set(&mut self.config, pointer, value.into());
        self
    }

    /// [`Setup::set`] below listener 0.
    pub fn listener(self, pointer: &str, value: impl Into<Value>) -> Setup {
        self.set(&format!("/listeners/0{pointer}"), value)
    }

    /// [`Setup::set`] below listener 0's route 0.
    pub fn route(self, pointer: &str, value: impl Into<Value>) -> Setup {
        self.set(&format!("/listeners/0/routes/0{pointer}"), value)
    }

    /// [`Setup::set`] below cluster 0.
    pub fn cluster(self, pointer: &str, value: impl Into<Value>) -> Setup {
        self.set(&format!("/clusters/0{pointer}"), value)
    }

    /// Sets an environment variable of the gateway's.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Setup {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Listener 0 speaks plaintext.
    pub fn plaintext(mut self) -> Setup {
        if let Some(listener) = self.config["listeners"][0].as_object_mut() {
            listener.remove("tls");
        }
        self
    }

    /// Where it will run: files that the configuration names relatively are here.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whose certificate `ca.pem` in the folder is.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Writes the file for commands other than `run`.
    pub fn write(&self) -> PathBuf {
        let path = self.folder.path().join(FILE);
        let text = serde_json::to_string_pretty(&self.config).expect("JSON");
        std::fs::write(&path, text).expect("written");
        path
    }

    /// Runs the gateway until it is ready.
    ///
    /// # Panics
    /// If it ends instead, or takes too long.
    pub fn start(self) -> Gateway {
        match Gateway::spawn(self) {
            Ok(gateway) => gateway,
            Err(exited) => panic!("the gateway ended: {exited:#?}"),
        }
    }

    /// Runs the gateway, which may end instead of being ready.
    ///
    /// # Errors
    /// How it ended.
    pub fn try_start(self) -> Result<Gateway, Exited> {
        Gateway::spawn(self)
    }

    pub(super) fn executable(&self) -> &Path {
        &self.executable
    }

    pub(super) fn environment(&self) -> &[(String, OsString)] {
        &self.environment
    }

    pub(super) fn into_parts(self) -> (TempDir, Authority, u16, SocketAddr) {
        (self.folder, self.authority, self.port, self.admin)
    }
}

pub(super) fn set(config: &mut Value, pointer: &str, value: Value) {
    let mut at = config;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        at = match step.parse::<usize>() {
            Ok(index) => {
                if at.is_null() {
                    *at = json!([]);
                }
                let array = at.as_array_mut().expect("an array");
                if index == array.len() {
                    array.push(Value::Null);
                }
                &mut array[index]
            }
            Err(_) => {
                if at.is_null() {
                    *at = json!({});
                }
                let object = at.as_object_mut().expect("an object");
                object.entry(step).or_insert(Value::Null)
            }
        };
    }
    *at = value;
}
