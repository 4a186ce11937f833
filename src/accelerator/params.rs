//! Which accelerators are wanted, checked.

/// An accelerator that can be asked for; software is always there and never named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AcceleratorName {
    /// Intel's qatengine, through OpenSSL's ENGINE API.
    QatEngine,
    /// Intel's qatprovider, through OpenSSL's provider API.
    QatProvider,
    /// libcrypto_mb on AVX-512 or AVX-IFMA cores, through a built-in provider.
    Multibuffer,
}

impl AcceleratorName {
    /// As the configuration, the log and the metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            AcceleratorName::QatEngine => "qat_engine",
            AcceleratorName::QatProvider => "qat_provider",
            AcceleratorName::Multibuffer => "multibuffer",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccelerationParams {
    /// In this order; the first that can be used is. Software comes last.
    pub prefer: Vec<AcceleratorName>,
    /// Refuse to start on software alone.
    pub require: bool,
}
