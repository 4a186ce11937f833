//! Why an accelerator is not used, in words that say what to do.

use super::self_test::Flaw;

/// What keeps this process from a device's file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Barrier {
    /// Members of this group may use it.
    #[error("the user is not in its group, {0}")]
    Group(String),
    #[error("its mode forbids it")]
    Mode,
    #[error("its mode allows it: SELinux, which is enforcing, forbids it")]
    Selinux,
    #[error("its mode allows it: an access list or a security module forbids it")]
    Policy,
    #[error("the container's cgroup does not have the device")]
    Cgroup,
}

/// One thing that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("no QAT card: the PCI bus has no device of a known QAT model")]
    NoCard,
    #[error("card {card}: no driver; load the kernel module {module}")]
    NoDriver { card: String, module: &'static str },
    #[error(
        "card {card}: the module {module} is loaded and does not drive it; see the kernel's log, \
         most often its firmware is missing"
    )]
    DriverFailed { card: String, module: &'static str },
    #[error("card {card}: the driver {module} finds no firmware: there is no /lib/firmware/{file}")]
    NoFirmware {
        card: String,
        module: &'static str,
        file: String,
    },
    #[error("card {card}: no IOMMU; enable it in the firmware set-up and boot with intel_iommu=on")]
    NoIommu { card: String },
    #[error("card {card}: it cannot be divided (SR-IOV); enable SR-IOV in the firmware set-up")]
    NoSriov { card: String },
    #[error("card {card}: no virtual functions; write their number to its sriov_numvfs")]
    NoVirtualFunctions { card: String },
    #[error("card {card}: its state is {state}, not up; write up to its qat/state")]
    NotUp { card: String, state: String },
    #[error(
        "card {card}: its services are {services}, without asym, which handshakes need; \
         change its qat/cfg_services while it is down"
    )]
    NoAsym { card: String, services: String },
    #[error("virtual function {function}: it is not bound to vfio-pci, but to {driver}")]
    NotVfio { function: String, driver: String },
    #[error(
        "virtual function {function}: there is no {node}; inside a container it has to be passed in"
    )]
    NoNode { function: String, node: String },
    #[error("virtual function {function}: no right to use {node}; {barrier}")]
    NoAccess {
        function: String,
        node: String,
        barrier: Barrier,
    },
    #[error(
        "locked memory is limited to {limit} bytes, and {needed} are needed (16 MiB for each \
         virtual function); raise the memlock limit"
    )]
    Memlock { limit: u64, needed: u64 },
    #[error("multi-buffer on this CPU: not possible, it lacks {0}")]
    Cpu(String),
    #[error(
        "this CPU has neither AVX512-IFMA nor AVX-IFMA, without which libcrypto_mb can do nothing"
    )]
    NoIfma,
    #[error("{file} is made for libcrypto.so.{linked}, and this process has libcrypto.so.{ours}")]
    OtherLibcrypto {
        file: String,
        linked: String,
        ours: String,
    },
    #[error("this build of OpenSSL has no async jobs (ASYNC_is_capable)")]
    NoAsyncJobs,
    #[error("this OpenSSL has no engines: use one of version 3 that has them, or qat_provider")]
    NoEngines,
    #[error("the engine {id} cannot be loaded: {error}")]
    EngineNotLoaded { id: String, error: String },
    #[error("the engine {id} is loaded, but does not start: {error}")]
    EngineNotStarted { id: String, error: String },
    #[error("the provider {name} cannot be loaded: {error}")]
    ProviderNotLoaded { name: String, error: String },
    #[error(
        "the provider {name} is loaded, but \"{properties}\" finds no RSA, X25519 or ECDSA of its own"
    )]
    NothingOffered { name: String, properties: String },
    #[error("its test failed: {0}")]
    Flawed(Flaw),
    #[error("it does nothing of what acceleration.offload lists")]
    NothingWanted,
    #[error("measured on this machine, software is quicker")]
    NoGain,
    #[error("{0}")]
    Library(String),
}
