//! What the ENGINE and the provider share: a device that takes its script from the
//! environment, and holds back what OpenSSL has computed until the device has answered.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::device::Device;
use crate::file;
use crate::script::{Operation, Script};

pub(crate) fn device() -> Device {
    let script = std::env::var(crate::SCRIPT).unwrap_or_default();
    let device = Device::new(read(&script));
    if let Some(path) = std::env::var_os(crate::SCRIPT_FILE) {
        file::watch(device.clone(), path.into());
    }
    device
}

/// It is a test's: what is wrong with it must not pass unseen.
pub(crate) fn read(script: &str) -> Script {
    match script.parse() {
        Ok(script) => script,
        Err(problem) => {
            eprintln!("the simulated accelerator's script: {problem}");
            std::process::abort()
        }
    }
}

/// Pauses the running job as the script says, then gives the result; false if it is none.
/// Without a job, as real accelerators do, it is given at once.
pub(crate) fn held_back(device: &Device, operation: Operation, output: &mut [u8]) -> bool {
    if !qat_sys::job::in_job() {
        return true;
    }
    let result = output.to_vec();
    output.fill(0);
    match device.run(operation, Box::new(move || Some(result))) {
        Ok(bytes) => {
            output.copy_from_slice(&bytes);
            true
        }
        Err(_) => false,
    }
}

/// No panic reaches OpenSSL.
pub(crate) fn guarded<T>(failed: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(failed)
}
