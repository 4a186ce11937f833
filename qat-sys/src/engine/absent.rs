//! Where there are no engines: the same names, and no values.

use std::convert::Infallible;
use std::path::Path;

use super::EngineError;

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
