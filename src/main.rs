#![forbid(unsafe_code)]
//! Parses the command line, runs the command, exits with its code.

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    qat_gateway::cli::main()
}
