//! What an engine is told before it starts. The commands are those of Intel's qatengine
//! (its `docs/engine_specific_messages.md`); another engine refuses what it does not know.

use std::time::Duration;

use super::{Engine, EngineError};

/// Who looks for the accelerator's answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Polling {
    /// Threads of the engine's own. What QAT_SW needs: it serves one thread otherwise.
    #[default]
    Internal,
    /// Whoever calls [`EngineBackend::poll`](super::EngineBackend::poll).
    External,
    /// As `External`; the engine counts its requests so that the caller can choose when.
    Heuristic,
    /// Threads of the engine's own, which sleep until the card interrupts. QAT_HW only.
    EventDriven,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineOptions {
    pub polling: Polling,
    /// Between two looks of the engine's own threads; 1 ns to 1 ms.
    pub poll_interval: Option<Duration>,
    /// What cards do, as a hexadecimal mask such as `0x21`. Known to builds with QAT_HW.
    pub hardware_algorithms: Option<String>,
    /// What multi-buffer code does, likewise. Known to builds with QAT_SW.
    pub software_algorithms: Option<String>,
    /// The section of the card's configuration that holds this process' instances.
    pub section: Option<String>,
    /// The engine goes on in software when a card fails. Out-of-tree drivers only.
    pub software_fallback: bool,
    /// How often the engine sends a request again that found the queue full; -1: forever.
    pub retries: Option<i32>,
}

impl EngineOptions {
    /// The commands in their order; all of them come before `ENGINE_init`.
    pub fn commands(&self) -> Vec<(&'static str, Option<String>)> {
        let mut commands = Vec::new();
        // Masks first: they bind the engine again, with all its methods.
        for (name, mask) in [
            ("HW_ALGO_BITMAP", &self.hardware_algorithms),
            ("SW_ALGO_BITMAP", &self.software_algorithms),
            ("SET_CONFIGURATION_SECTION_NAME", &self.section),
        ] {
            commands.extend(mask.clone().map(|mask| (name, Some(mask))));
        }
        commands.extend(self.polling_commands().iter().map(|name| (*name, None)));
        if let Some(interval) = self.poll_interval {
            let told = Some(interval.as_nanos().to_string());
            commands.push(("SET_INTERNAL_POLL_INTERVAL", told));
        }
        if let Some(retries) = self.retries {
            commands.push(("SET_MAX_RETRY_COUNT", Some(retries.to_string())));
        }
        if self.software_fallback {
            commands.push(("ENABLE_SW_FALLBACK", None));
        }
        commands
    }

    fn polling_commands(&self) -> &'static [&'static str] {
        match self.polling {
            Polling::Internal => &[],
            Polling::External => &["ENABLE_EXTERNAL_POLLING"],
            // Refused unless external polling is on.
            Polling::Heuristic => &["ENABLE_EXTERNAL_POLLING", "ENABLE_HEURISTIC_POLLING"],
            Polling::EventDriven => &["ENABLE_EVENT_DRIVEN_POLLING_MODE"],
        }
    }

    /// Tells the engine, which must not have been started. Stops at the first refusal.
    pub fn tell(&self, engine: &mut Engine) -> Result<(), EngineError> {
        for (command, argument) in self.commands() {
            engine.ctrl(command, argument.as_deref())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_come_in_the_order_that_the_engine_needs() {
        assert!(EngineOptions::default().commands().is_empty());
        let options = EngineOptions {
            polling: Polling::Heuristic,
            poll_interval: Some(Duration::from_micros(10)),
            hardware_algorithms: Some("0x1".to_owned()),
            software_algorithms: Some("0x21".to_owned()),
            section: Some("SHIM".to_owned()),
            software_fallback: true,
            retries: Some(-1),
        };
        let told: Vec<_> = options.commands();
        let told: Vec<_> = told
            .iter()
            .map(|(name, argument)| (*name, argument.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("HW_ALGO_BITMAP", Some("0x1")),
                ("SW_ALGO_BITMAP", Some("0x21")),
                ("SET_CONFIGURATION_SECTION_NAME", Some("SHIM")),
                ("ENABLE_EXTERNAL_POLLING", None),
                ("ENABLE_HEURISTIC_POLLING", None),
                ("SET_INTERNAL_POLL_INTERVAL", Some("10000")),
                ("SET_MAX_RETRY_COUNT", Some("-1")),
                ("ENABLE_SW_FALLBACK", None),
            ]
        );
    }
}
