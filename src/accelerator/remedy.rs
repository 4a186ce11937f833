//! What an administrator types to mend a reason.

use super::{Barrier, Reason};

impl Reason {
    /// A line for a root shell that mends this, or shows more where nothing can mend it
    /// blindly; None where the reason's own words say all that can be done.
    pub fn remedy(&self) -> Option<String> {
        card(self)
            .or_else(|| function(self))
            .or_else(|| other(self))
    }
}

/// The drivers' own documentation: Documentation/ABI/testing/sysfs-driver-qat.
fn card(reason: &Reason) -> Option<String> {
    let path = |card: &str| format!("/sys/bus/pci/devices/{card}");
    Some(match reason {
        Reason::NoDriver { module, .. } => format!("modprobe {module}"),
        Reason::NoFirmware { module, .. } => format!(
            "apt install firmware-misc-nonfree && modprobe -r {module} && modprobe {module}  \
             # where that lacks it: firmware-intel-misc, linux-firmware"
        ),
        Reason::DriverFailed { .. } => "dmesg | grep -iE 'qat|firmware'".to_owned(),
        Reason::NoIommu { .. } => "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&intel_iommu=on /' \
             /etc/default/grub && update-grub  # then boot again"
            .to_owned(),
        Reason::NoVirtualFunctions { card } => {
            let path = path(card);
            format!("cat {path}/sriov_totalvfs > {path}/sriov_numvfs")
        }
        Reason::NotUp { card, .. } => format!("echo up > {}/qat/state", path(card)),
        Reason::NoAsym { card, .. } => {
            let path = path(card);
            format!(
                "echo down > {path}/qat/state; echo 'sym;asym' > {path}/qat/cfg_services; \
                 echo up > {path}/qat/state  # to keep it: ServicesEnabled in /etc/default/qat"
            )
        }
        _ => return None,
    })
}

fn function(reason: &Reason) -> Option<String> {
    Some(match reason {
        Reason::NotVfio { function, driver } => {
            let path = format!("/sys/bus/pci/devices/{function}");
            let unbind = match driver.as_str() {
                "nothing" => String::new(),
                _ => format!("echo {function} > {path}/driver/unbind; "),
            };
            format!(
                "modprobe vfio-pci; echo vfio-pci > {path}/driver_override; {unbind}\
                 echo {function} > /sys/bus/pci/drivers_probe"
            )
        }
        Reason::NoNode { node, .. } => passed_in(node),
        Reason::NoAccess { node, barrier, .. } => match barrier {
            Barrier::Group(group) => {
                format!("usermod -aG {group} USER  # the gateway's; then log in again")
            }
            Barrier::Mode => {
                format!("chgrp qat {node} && chmod 660 {node}  # to keep it: a udev rule")
            }
            Barrier::Policy => format!("getfacl {node}; aa-status; dmesg | tail"),
            Barrier::Cgroup => passed_in(node),
            Barrier::Selinux => format!(
                "ausearch -m avc -ts recent | audit2allow -M qat-gateway && semodule -i \
                 qat-gateway.pp  # what it allows is in qat-gateway.te; {node} has: ls -Z {node}"
            ),
        },
        Reason::Memlock { needed, .. } => format!(
            "ulimit -l {}  # systemd: LimitMEMLOCK={needed}; docker: --ulimit memlock={needed}",
            needed / 1024
        ),
        _ => return None,
    })
}

fn passed_in(node: &str) -> String {
    format!("docker run --device /dev/vfio/vfio --device {node} ...")
}

fn other(reason: &Reason) -> Option<String> {
    let missing = match reason {
        Reason::EngineNotLoaded { error, .. } | Reason::ProviderNotLoaded { error, .. } => {
            missing_library(error)
        }
        _ => None,
    };
    if let Some(library) = missing {
        return Some(format!(
            "apt-file search {library}  # then apt install what has it"
        ));
    }
    Some(match reason {
        Reason::OtherLibcrypto { file, .. } => format!("ldd {file} | grep libcrypto"),
        Reason::EngineNotLoaded { id, .. } if id == "qatengine" => {
            "apt install qatengine  # or OPENSSL_ENGINES=FOLDER where it is elsewhere".to_owned()
        }
        Reason::Library(text) if text.contains("not found") => {
            "apt install libcrypto-mb11  # or acceleration.multibuffer.library".to_owned()
        }
        Reason::EngineNotStarted { id, .. } => format!("openssl engine -t -c -v {id}"),
        Reason::NothingOffered { name, .. } => {
            format!("openssl list -provider {name} -signature-algorithms -key-exchange-algorithms")
        }
        Reason::ProviderNotLoaded { name, .. } if name == "qatprovider" => {
            "git clone https://github.com/intel/QAT_Engine && cd QAT_Engine && ./autogen.sh && \
             ./configure --enable-qat_provider && make install  # or OPENSSL_MODULES=FOLDER"
                .to_owned()
        }
        _ => return None,
    })
}

/// One that an engine or provider needs, which is there itself: the loader names what it
/// was asked for by its path, and what that needs without one.
fn missing_library(error: &str) -> Option<&str> {
    let (before, _) = error.split_once(": cannot open shared object file")?;
    let name = before.rsplit(' ').next()?;
    (!name.contains('/')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_an_engine_needs_is_told_apart_from_the_engine() {
        let remedy = |name: &str| {
            let reason = Reason::EngineNotLoaded {
                id: "qatengine".to_owned(),
                error: format!(
                    "could not load the shared library: filename(/e/qatengine.so): {name}: \
                     cannot open shared object file: No such file or directory"
                ),
            };
            reason.remedy().expect("a remedy")
        };
        assert!(remedy("libqat.so.4").starts_with("apt-file search libqat.so.4 "));
        assert!(remedy("/e/qatengine.so").starts_with("apt install qatengine "));
    }
}
