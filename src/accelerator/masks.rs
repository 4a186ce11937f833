//! What the configuration keeps an accelerator from doing.

use super::{AccelerationParams, AcceleratorName, Algorithm};

/// An algorithm that is switched off.
#[derive(Debug, PartialEq, Eq)]
pub struct Masked {
    pub algorithm: Algorithm,
    /// The setting that does it, and what it says.
    pub by: String,
}

/// Of one accelerator, by its name.
pub(super) fn masked(params: &AccelerationParams, name: &str) -> Vec<Masked> {
    let mut masked = Vec::new();
    if let Some(list) = &params.offload {
        let missing = Algorithm::ALL.into_iter().filter(|one| !list.contains(one));
        masked.extend(missing.map(|algorithm| {
            let listed: Vec<&str> = list.iter().map(|one| one.as_str()).collect();
            let by = format!("acceleration.offload ([{}])", listed.join(", "));
            Masked { algorithm, by }
        }));
    }
    if name == AcceleratorName::QatEngine.as_str() {
        let options = &params.engine.options;
        masked.extend(without("hardware_algorithms", &options.hardware_algorithms));
        masked.extend(without("software_algorithms", &options.software_algorithms));
    }
    masked
}

/// What a mask of qatengine's has no bit for.
fn without(key: &str, mask: &Option<String>) -> Vec<Masked> {
    let Some((text, bits)) = mask.as_ref().and_then(|text| Some((text, bits(text)?))) else {
        return Vec::new();
    };
    let missing = Algorithm::ALL
        .into_iter()
        .filter(|one| bits & bit(*one) == 0);
    let named = |algorithm| Masked {
        algorithm,
        by: format!(
            "acceleration.qat_engine.{key} ({text} lacks {:#x})",
            bit(algorithm)
        ),
    };
    missing.map(named).collect()
}

fn bits(mask: &str) -> Option<u64> {
    let digits = mask.trim_start_matches("0x").trim_start_matches("0X");
    u64::from_str_radix(digits, 16).ok()
}

/// The same for cards and for multi-buffer: docs/engine_specific_messages.md of qatengine.
fn bit(algorithm: Algorithm) -> u64 {
    match algorithm {
        Algorithm::Rsa => 0x1,
        Algorithm::X25519 => 0x20,
        Algorithm::Ecdsa => 0x8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accelerator::{EngineOptions, EngineParams};

    fn told(params: &AccelerationParams, name: AcceleratorName) -> Vec<String> {
        let masked = masked(params, name.as_str()).into_iter();
        masked
            .map(|one| format!("{}: {}", one.algorithm.as_str(), one.by))
            .collect()
    }

    #[test]
    fn masks_are_told_by_the_setting_that_has_them() {
        let params = AccelerationParams {
            offload: Some(vec![Algorithm::Rsa]),
            engine: EngineParams {
                options: EngineOptions {
                    hardware_algorithms: Some("0x29".to_owned()),
                    software_algorithms: Some("0x20".to_owned()),
                    ..EngineOptions::default()
                },
                ..EngineParams::default()
            },
            ..AccelerationParams::default()
        };
        let by_offload =
            ["x25519", "ecdsa"].map(|one| format!("{one}: acceleration.offload ([rsa])"));
        assert_eq!(told(&params, AcceleratorName::Multibuffer), by_offload);
        let by_mask = [("rsa", "0x1"), ("ecdsa", "0x8")].map(|(name, bit)| {
            format!("{name}: acceleration.qat_engine.software_algorithms (0x20 lacks {bit})")
        });
        let by_both = [by_offload, by_mask].concat();
        assert_eq!(told(&params, AcceleratorName::QatEngine), by_both);
        let defaults = AccelerationParams::default();
        assert_eq!(told(&defaults, AcceleratorName::QatEngine), [""; 0]);
    }
}
