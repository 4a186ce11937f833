//! AES-GCM as TLS seals its records, by the gateway's provider and by OpenSSL's own.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use qat_sys::offload::Offload;

/// A small answer's, and the largest that there is (RFC 8446 section 5.1).
const SIZES: [usize; 2] = [64, 16_384];
/// Of a record's header, which is authenticated beside its content.
const AAD: [u8; 5] = [23, 3, 3, 0, 0];

fn seal(context: &mut CipherCtx, nonce: u64, record: &[u8], sealed: &mut [u8], tag: &mut [u8]) {
    let mut iv = [0; 12];
    iv[4..].copy_from_slice(&nonce.to_be_bytes());
    context.encrypt_init(None, None, Some(&iv)).expect("init");
    context.cipher_update(&AAD, None).expect("the header");
    let written = context.cipher_update(record, Some(sealed));
    assert_eq!(written.expect("the content"), record.len());
    context.cipher_final(&mut []).expect("the end");
    context.tag(tag).expect("a tag");
}

fn all(criterion: &mut Criterion) {
    let offload = Offload::software().expect("the provider");
    for (name, key_len) in [("AES-128-GCM", 16), ("AES-256-GCM", 32)] {
        let key = vec![7; key_len];
        let ours = Cipher::fetch(Some(offload.library()), name, Some("provider=offload"));
        let ciphers = [
            ("gateway", ours.expect("the provider's cipher")),
            (
                "openssl",
                Cipher::fetch(None, name, None).expect("a cipher"),
            ),
        ];
        let mut contexts = ciphers.map(|(who, cipher)| {
            let mut context = CipherCtx::new().expect("a context");
            context
                .encrypt_init(Some(&cipher), Some(&key), None)
                .expect("a key");
            (who, context)
        });
        for size in SIZES {
            let record = vec![1; size];
            let mut group = criterion.benchmark_group(format!("record/{name}/{size}"));
            group.throughput(Throughput::Bytes(size as u64));
            let results = contexts.each_mut().map(|(who, context)| {
                let (mut sealed, mut tag, mut nonce) = (vec![0; size], [0; 16], 0);
                group.bench_function(BenchmarkId::from_parameter(who), |bencher| {
                    bencher.iter(|| {
                        nonce += 1;
                        seal(context, nonce, black_box(&record), &mut sealed, &mut tag);
                    });
                });
                seal(context, 0, &record, &mut sealed, &mut tag);
                (sealed, tag)
            });
            assert_eq!(results[0], results[1], "{name} of {size} bytes");
            group.finish();
        }
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
