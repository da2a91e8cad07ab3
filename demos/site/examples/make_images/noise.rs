//! Lattice noise without state: the value at a point depends on the point alone.

/// A well-mixed value in 0..1 for a lattice point.
pub(crate) fn lattice(x: i64, y: i64, seed: u64) -> f64 {
    let mut bits = (x as u64)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add((y as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F))
        .wrapping_add(seed.wrapping_mul(0x1656_67B1_9E37_79F9));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// Value noise in 0..1, smooth between lattice points.
pub(crate) fn smooth(x: f64, y: f64, seed: u64) -> f64 {
    let (column, row) = (x.floor(), y.floor());
    let ease = |t: f64| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (u, v) = (ease(x - column), ease(y - row));
    let at = |dx: i64, dy: i64| lattice(column as i64 + dx, row as i64 + dy, seed);
    let bottom = at(0, 0) + (at(1, 0) - at(0, 0)) * u;
    let top = at(0, 1) + (at(1, 1) - at(0, 1)) * u;
    bottom + (top - bottom) * v
}

/// Several octaves of noise added up, in 0..1.
pub(crate) fn layered(x: f64, y: f64, octaves: u32, seed: u64) -> f64 {
    let (mut sum, mut weight, mut total, mut scale) = (0.0, 1.0, 0.0, 1.0);
    for octave in 0..octaves {
        sum += weight * smooth(x * scale, y * scale, seed + u64::from(octave));
        total += weight;
        weight *= 0.5;
        scale *= 2.03;
    }
    sum / total
}
