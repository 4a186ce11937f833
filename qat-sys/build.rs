//! Finds out whether this OpenSSL has engines. The bindings are committed: with the
//! feature `bindgen` they are made again from the installed OpenSSL's headers and
//! compared with the committed ones; `QAT_SYS_BLESS=1` writes them instead of failing.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(engines)");
    if has_engines() {
        println!("cargo:rustc-cfg=engines");
    }
    #[cfg(feature = "bindgen")]
    regenerate::run();
}

/// As openssl-sys read it from the headers: distributions may leave engines out, and
/// OpenSSL 4 has none.
///
/// QAT_SYS_NO_ENGINES=1 builds as if there were none.
fn has_engines() -> bool {
    println!("cargo:rerun-if-env-changed=QAT_SYS_NO_ENGINES");
    if std::env::var_os("QAT_SYS_NO_ENGINES").is_some() {
        return false;
    }
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    let version = u64::from_str_radix(&told("DEP_OPENSSL_VERSION_NUMBER"), 16);
    let left_out = told("DEP_OPENSSL_CONF")
        .split(',')
        .any(|name| name == "OPENSSL_NO_ENGINE");
    !left_out && version.is_ok_and(|version| version < 0x4000_0000)
}

#[cfg(feature = "bindgen")]
mod regenerate {
    use std::{env, fs, path::PathBuf};

    /// What is used of OpenSSL and missing in openssl-sys.
    const FUNCTIONS: &[&str] = &[
        "ASYNC_WAIT_CTX_free",
        "ASYNC_WAIT_CTX_get_callback",
        "ASYNC_WAIT_CTX_get_fd",
        "ASYNC_WAIT_CTX_get_status",
        "ASYNC_WAIT_CTX_new",
        "ASYNC_WAIT_CTX_set_callback",
        "ASYNC_WAIT_CTX_set_status",
        "ASYNC_WAIT_CTX_set_wait_fd",
        "ASYNC_get_current_job",
        "ASYNC_get_wait_ctx",
        "ASYNC_init_thread",
        "ASYNC_is_capable",
        "ASYNC_pause_job",
        "ASYNC_start_job",
        "BIO_s_null",
        "ERR_peek_error",
        "SSL_CTX_set_default_read_buffer_len",
        "SSL_CTX_set_timeout",
        "SSL_CTX_set_tlsext_ticket_key_evp_cb",
        "SSL_CTX_use_cert_and_key",
        "SSL_get_all_async_fds",
        "SSL_get_async_status",
        "SSL_get_changed_async_fds",
        "SSL_has_pending",
        "SSL_set_async_callback",
        "SSL_set_async_callback_arg",
        "X509_NAME_print_ex",
    ];
    const VALUES: &[&str] = &[
        "ASYNC_NO_JOBS",
        "ASYNC_PAUSE",
        "ASYNC_STATUS_EAGAIN",
        "ASYNC_STATUS_OK",
        "ERR_LIB_SSL",
        "SSL_CTRL_CLEAR_MODE",
        "SSL_CTRL_GET_NEGOTIATED_GROUP",
        "SSL_CTRL_SET_TLSEXT_TICKET_KEYS",
        "SSL_ERROR_WANT_ASYNC",
        "SSL_ERROR_WANT_ASYNC_JOB",
        "SSL_MODE_ASYNC",
        "SSL_R_CALLBACK_FAILED",
        "SSL_R_CERTIFICATE_VERIFY_FAILED",
        "SSL_R_HTTPS_PROXY_REQUEST",
        "SSL_R_HTTP_REQUEST",
        "SSL_R_NO_APPLICATION_PROTOCOL",
        "SSL_R_NO_SHARED_CIPHER",
        "SSL_R_NO_SHARED_GROUPS",
        "SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS",
        "SSL_R_NO_SUITABLE_KEY_SHARE",
        "SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM",
        "SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE",
        "SSL_R_UNEXPECTED_EOF_WHILE_READING",
        "SSL_R_UNSUPPORTED_PROTOCOL",
        "SSL_R_VERSION_TOO_LOW",
        "SSL_R_WRONG_VERSION_NUMBER",
        "TLSEXT_nid_unknown",
        "XN_FLAG_RFC2253",
    ];
    /// openssl-sys has these.
    const FOREIGN: &[&str] = &[
        "BIO",
        "bio_st",
        "BIO_METHOD",
        "bio_method_st",
        "EVP_CIPHER_CTX",
        "evp_cipher_ctx_st",
        "EVP_MAC_CTX",
        "evp_mac_ctx_st",
        "EVP_PKEY",
        "evp_pkey_st",
        "SSL",
        "ssl_st",
        "SSL_CTX",
        "ssl_ctx_st",
        "X509",
        "x509_st",
        "X509_NAME",
        "X509_name_st",
        "stack_st_X509",
    ];

    pub(super) fn run() {
        println!("cargo:rerun-if-changed=wrapper.h");
        println!("cargo:rerun-if-changed=src/bindings.rs");
        println!("cargo:rerun-if-env-changed=QAT_SYS_BLESS");
        let mut builder = bindgen::Builder::default()
            .header("wrapper.h")
            .disable_header_comment()
            .raw_line("// Made by `cargo build -p qat-sys --features bindgen` from wrapper.h: do not edit.")
            .raw_line("use openssl_sys::*;")
            .default_macro_constant_type(bindgen::MacroTypeVariation::Signed)
            .use_core()
            .layout_tests(false)
            .merge_extern_blocks(true)
            .sort_semantically(true);
        if let Ok(include) = env::var("DEP_OPENSSL_INCLUDE") {
            for dir in env::split_paths(&include) {
                builder = builder.clang_arg(format!("-I{}", dir.display()));
            }
        }
        for name in FUNCTIONS {
            builder = builder.allowlist_function(name);
        }
        for name in VALUES {
            builder = builder.allowlist_var(name);
        }
        for name in FOREIGN {
            builder = builder.blocklist_type(name);
        }
        let made = builder
            .generate()
            .expect("bindgen reads wrapper.h")
            .to_string();
        settle(&made);
    }

    fn settle(made: &str) {
        let committed = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("set by cargo"))
            .join("src/bindings.rs");
        if env::var_os("QAT_SYS_BLESS").is_some() {
            fs::write(&committed, made).expect("src/bindings.rs is writable");
        } else if fs::read_to_string(&committed).unwrap_or_default() != made {
            panic!("src/bindings.rs is not what the headers give: build with QAT_SYS_BLESS=1");
        }
    }
}
