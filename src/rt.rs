//! What a worker's tasks stand on: the local runtime.

use std::io;

use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

/// A runtime whose tasks stay on the calling thread.
pub fn local_runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
}
