//! Scripts for a device that is in another process.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::device::Device;
use crate::plugin::read;

const RELEASE: &str = "release";
const EVERY: Duration = Duration::from_millis(2);

/// Obeys what is written to the file, and removes it, for as long as the process lives.
pub(crate) fn watch(device: Device, path: PathBuf) {
    let work = move || {
        loop {
            if let Ok(told) = std::fs::read_to_string(&path) {
                match told.trim() {
                    RELEASE => device.release(),
                    script => device.set_script(read(script)),
                }
                // Whoever waits for it fails if it cannot be removed.
                let _ = std::fs::remove_file(&path);
            }
            thread::sleep(EVERY);
        }
    };
    let named = thread::Builder::new().name("script".to_owned());
    named.spawn(work).expect("a thread");
}
