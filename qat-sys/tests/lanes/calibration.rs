//! When lanes gain.

use qat_sys::lanes::{Cost, Kind, LANES, Table, calibrate};

use crate::library;

#[test]
fn the_break_even_is_where_lanes_become_quicker() {
    let cost = Cost::new(100.0, [250.0; LANES]);
    assert_eq!(cost.break_even(), Some(3));
    assert!(!cost.gains(0) && !cost.gains(2) && cost.gains(3) && cost.gains(8) && !cost.gains(9));
    assert_eq!(Cost::new(100.0, [900.0; LANES]).break_even(), None);
    assert_eq!(cost.saving(2), 0.0);
    assert_eq!(cost.saving(5), 50.0);
    let little = Cost::new(10.0, [60.0; LANES]);
    assert!(little.gains(8));
    assert_eq!(little.break_even(), None, "a pause costs more");
    assert_eq!(Cost::NEVER.break_even(), None);
}

#[test]
fn a_disturbed_measurement_is_mended_by_its_neighbours() {
    let mut lanes = [250.0; LANES];
    lanes[4] = 9_999.0;
    assert_eq!(Cost::new(100.0, lanes).lanes(), [250.0; LANES]);
}

#[test]
fn a_table_has_a_cost_for_every_kind() {
    let table = Table::new(|kind| match kind {
        Kind::Rsa4096 => Cost::NEVER,
        _ => Cost::new(200.0, [300.0; LANES]),
    });
    assert_eq!(table.of(Kind::Rsa4096).break_even(), None);
    assert_eq!(table.of(Kind::X25519Derive).break_even(), Some(2));
}

/// Prints the table: `cargo test --release -p qat-sys --test lanes measured -- --nocapture`.
#[test]
fn every_supported_kind_is_measured() {
    let Some(library) = library() else { return };
    let start = std::time::Instant::now();
    let table = calibrate(library).unwrap();
    println!(
        "libcrypto_mb {} in {:?}",
        library.version(),
        start.elapsed()
    );
    for kind in Kind::ALL {
        let cost = table.of(kind);
        let (software, lanes) = (cost.software(), cost.lanes());
        println!(
            "{:16} {software:8.1} {lanes:8.1?} {:?}",
            kind.name(),
            cost.break_even()
        );
        if library.supports(kind) {
            assert!(software > 0.0 && lanes.iter().all(|lanes| lanes.is_finite()));
        } else {
            assert_eq!(*cost, Cost::NEVER);
        }
    }
}
