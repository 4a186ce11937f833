//! OpenSSL unloads engines when the process ends, while the device's thread may run.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(engines)");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    let left_out = told("DEP_OPENSSL_CONF").contains("OPENSSL_NO_ENGINE");
    let version = u64::from_str_radix(&told("DEP_OPENSSL_VERSION_NUMBER"), 16);
    if !left_out && version.is_ok_and(|version| version < 0x4000_0000) {
        println!("cargo:rustc-cfg=engines");
    }
}
