//! The end of a process's life: tell everyone once, wait for everyone, boundedly.
