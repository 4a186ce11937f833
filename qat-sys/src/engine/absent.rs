//! Where there are no engines: the same names, and no values.

use std::convert::Infallible;
use std::path::Path;

use super::{EngineError, EngineOptions};
use crate::offload::{Algorithm, Backend, Outcome, RsaKey, X25519Key};

#[derive(Debug)]
pub struct Engine(Infallible);

impl Engine {
    pub fn by_id(_id: &str) -> Result<Engine, EngineError> {
        Err(EngineError::NoEngines)
    }

    pub fn load(_id: &str, _path: &Path) -> Result<Engine, EngineError> {
        Err(EngineError::NoEngines)
    }

    pub fn ctrl(&mut self, _command: &str, _argument: Option<&str>) -> Result<(), EngineError> {
        match self.0 {}
    }

    pub fn name(&self) -> String {
        match self.0 {}
    }

    pub fn init(self) -> Result<Initialised, EngineError> {
        match self.0 {}
    }
}

#[derive(Debug)]
pub struct Initialised(Infallible);

impl Initialised {
    pub fn ctrl(&mut self, _command: &str, _argument: Option<&str>) -> Result<(), EngineError> {
        match self.0 {}
    }

    pub fn name(&self) -> String {
        match self.0 {}
    }
}

pub struct EngineBackend(Infallible);

impl EngineBackend {
    pub fn start(engine: Engine, _options: &EngineOptions) -> Result<Self, EngineError> {
        match engine.0 {}
    }

    pub fn new(engine: Initialised, _options: &EngineOptions) -> Self {
        match engine.0 {}
    }

    pub fn algorithms(&self) -> &[Algorithm] {
        match self.0 {}
    }

    pub fn name(&self) -> String {
        match self.0 {}
    }

    pub fn poll(&self) -> Result<(), EngineError> {
        match self.0 {}
    }

    pub fn requests_in_flight(&self) -> Option<u32> {
        match self.0 {}
    }

    pub fn retries(&self) -> Option<u32> {
        match self.0 {}
    }
}

impl Backend for EngineBackend {
    fn rsa_private(&self, _key: &RsaKey, _input: &[u8], _output: &mut [u8]) -> Outcome {
        match self.0 {}
    }

    fn x25519_generate(&self, _key: &mut X25519Key) -> Outcome {
        match self.0 {}
    }

    fn x25519_derive(&self, _key: &X25519Key, _peer: &[u8; 32], _secret: &mut [u8; 32]) -> Outcome {
        match self.0 {}
    }
}
