//! Which accelerators are measured: all that can be used, or those asked for.

use std::sync::Arc;

use super::error::Error;
use super::options::{Name, Options};
use super::report::Accelerator;
use crate::accelerator::{
    self, AccelerationParams, AcceleratorName, Active, Algorithm, SOFTWARE, System,
};

/// Software, and what was found beside.
pub struct Found {
    /// None: software, which is the first.
    pub usable: Vec<Option<Arc<Active>>>,
    /// All that were looked at.
    pub accelerators: Vec<Accelerator>,
}

impl From<Name> for AcceleratorName {
    fn from(name: Name) -> AcceleratorName {
        match name {
            Name::QatEngine => AcceleratorName::QatEngine,
            Name::QatProvider => AcceleratorName::QatProvider,
            Name::Multibuffer => AcceleratorName::Multibuffer,
        }
    }
}

/// Loads, tests and calibrates them, as the gateway does at its start.
///
/// # Errors
/// One that was asked for by name cannot be used, or the configuration has problems.
pub fn find(options: &Options) -> Result<Found, Error> {
    let params = match &options.config {
        Some(file) => super::acceleration(file)?,
        None => AccelerationParams::default(),
    };
    let system = System::this();
    let mut found = Found {
        usable: vec![None],
        accelerators: vec![Accelerator {
            name: SOFTWARE,
            what: Some(openssl::version::version().to_owned()),
            algorithms: Vec::new(),
            break_even: None,
            reasons: Vec::new(),
        }],
    };
    let asked: Vec<AcceleratorName> = match options.accelerator.as_slice() {
        [] => [Name::QatEngine, Name::QatProvider, Name::Multibuffer]
            .map(Into::into)
            .into(),
        named => named.iter().copied().map(Into::into).collect(),
    };
    for name in asked {
        found.look(name, &params, &system, !options.accelerator.is_empty())?;
    }
    Ok(found)
}

impl Found {
    fn look(
        &mut self,
        name: AcceleratorName,
        params: &AccelerationParams,
        system: &System,
        required: bool,
    ) -> Result<(), Error> {
        if self
            .accelerators
            .iter()
            .any(|one| one.name == name.as_str())
        {
            return Ok(());
        }
        let alone = AccelerationParams {
            prefer: vec![name],
            require: true,
            ..params.clone()
        };
        let (what, reasons) = match accelerator::select(&alone, system) {
            Ok(selection) => {
                self.usable.push(selection.active);
                (Some(selection.what), Vec::new())
            }
            Err(unavailable) if required => return Err(Error::Unavailable(unavailable)),
            Err(unavailable) => {
                let reasons = unavailable.0.into_iter().flat_map(|(_, reasons)| reasons);
                (None, reasons.map(|reason| reason.to_string()).collect())
            }
        };
        let active = match what {
            Some(_) => self.usable.last().and_then(Option::as_ref),
            None => None,
        };
        let algorithms = active.map_or(&[][..], |active| &active.algorithms);
        self.accelerators.push(Accelerator {
            name: name.as_str(),
            what,
            algorithms: algorithms.iter().copied().map(Algorithm::as_str).collect(),
            break_even: active.map(|active| active.break_even),
            reasons,
        });
        Ok(())
    }
}
