//! Which running gateways may be loaded: one's own.

use std::net::{IpAddr, SocketAddr};

use super::error::Error;

/// A gateway to be loaded.
pub struct Target {
    /// As it was asked for.
    pub told: String,
    pub address: SocketAddr,
    /// For SNI.
    pub name: String,
}

impl Target {
    /// Finds its address. Unless `anywhere`, all addresses of the name must be this
    /// machine's or a private network's.
    ///
    /// # Errors
    /// It is not HOST:PORT, has no address, or a public one.
    pub async fn find(told: &str, sni: Option<&str>, anywhere: bool) -> Result<Target, Error> {
        let port = told.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(1..))) {
            return Err(Error::Usage(format!(
                "--connect {told}: write HOST:PORT, such as 127.0.0.1:8443 or [::1]:8443"
            )));
        }
        let found = tokio::net::lookup_host(told).await;
        let found = found.map_err(|error| Error::Usage(format!("--connect {told}: {error}")))?;
        let addresses: Vec<SocketAddr> = found.collect();
        let Some(address) = addresses.first().copied() else {
            return Err(Error::Usage(format!("--connect {told}: it has no address")));
        };
        let public = addresses.iter().find(|one| !is_near(one.ip()));
        if let (Some(public), false) = (public, anywhere) {
            return Err(Error::Usage(format!(
                "--connect {told}: {} is neither this machine's nor a private network's address; \
                 to load a server is an attack unless its owner agrees: if so, add \
                 --the-owner-agrees",
                public.ip()
            )));
        }
        let host = told.rsplit_once(':').map_or(told, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Target {
            told: told.to_owned(),
            address,
            name: sni.unwrap_or(host).to_owned(),
        })
    }
}

/// This machine (RFC 1122, RFC 4291), its link (RFC 3927), or private (RFC 1918, RFC 4193).
fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_addresses_may_be_loaded() {
        let near = |text: &str| is_near(text.parse().expect("an address"));
        for text in [
            "127.0.0.1",
            "::1",
            "10.1.2.3",
            "192.168.0.1",
            "172.31.0.1",
            "fd00::1",
        ] {
            assert!(near(text), "{text}");
        }
        for text in [
            "8.8.8.8",
            "172.32.0.1",
            "2001:db8::1",
            "::ffff:8.8.8.8",
            "0.0.0.0",
            "::",
        ] {
            assert!(!near(text), "{text}");
        }
    }
}
