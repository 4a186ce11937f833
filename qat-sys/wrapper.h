/* What `cargo build -p qat-sys --features bindgen` reads to make src/bindings.rs. */
#include <openssl/async.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
