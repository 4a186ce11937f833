//! A worker: one core's thread, its listeners, connections and pools.
