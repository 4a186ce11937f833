//! The facts of a machine that figures are worth nothing without.

use std::fs;

use schemars::JsonSchema;
use serde::Serialize;

use super::cpu;

/// Where it was measured.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Machine {
    /// As the kernel names the CPU.
    pub cpu: String,
    /// CPUs that this process may use.
    pub cpus: usize,
    pub kernel: String,
    pub openssl: &'static str,
}

impl Machine {
    /// This one.
    pub fn this() -> Machine {
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        let kernel = read("/proc/sys/kernel/osrelease");
        Machine {
            cpu: model(&read("/proc/cpuinfo")).unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cpus: cpu::allowed().len().max(1),
            kernel: kernel.trim().to_owned(),
            openssl: openssl::version::version(),
        }
    }
}

fn model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_there() {
        let machine = Machine::this();
        assert!(!machine.cpu.is_empty() && !machine.kernel.is_empty());
        assert!(machine.cpus > 0 && machine.openssl.starts_with("OpenSSL"));
        let text = "processor\t: 0\nmodel name\t: A: CPU\n";
        assert_eq!(model(text).as_deref(), Some("A: CPU"));
    }
}
