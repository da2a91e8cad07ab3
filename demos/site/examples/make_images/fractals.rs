//! Escape-time and root-finding fractals.

use crate::canvas::{Colour, cycle, mix};

/// How far outside an orbit counts as escaped, squared. Large, so that the shading is smooth.
const ESCAPE_SQUARED: f64 = 256.0;

/// Runs `step` from (x, y) and gives the smooth number of steps to escape, if it does.
fn escape_time(
    mut x: f64,
    mut y: f64,
    limit: u32,
    step: impl Fn(f64, f64) -> (f64, f64),
) -> Option<f64> {
    for count in 0..limit {
        let norm = x * x + y * y;
        if norm > ESCAPE_SQUARED {
            return Some(f64::from(count) + 1.0 - (norm.ln() / 2.0).log2());
        }
        (x, y) = step(x, y);
    }
    None
}

/// The seahorse valley of the Mandelbrot set.
pub(crate) fn mandelbrot(x: f64, y: f64) -> Colour {
    let (cx, cy) = (-0.7463 + x * 0.006, 0.1102 + y * 0.006);
    let inside = [0.02, 0.02, 0.06];
    escape_time(0.0, 0.0, 1200, |a, b| {
        (a * a - b * b + cx, 2.0 * a * b + cy)
    })
    .map_or(inside, |steps| {
        cycle(steps.sqrt() * 0.11, [0.55, 0.68, 0.82])
    })
}

/// A connected Julia set with spiral arms.
pub(crate) fn julia(x: f64, y: f64) -> Colour {
    let (cx, cy) = (-0.7269, 0.1889);
    let inside = [0.98, 0.93, 0.80];
    escape_time(x * 0.95, y * 0.95, 600, |a, b| {
        (a * a - b * b + cx, 2.0 * a * b + cy)
    })
    .map_or(inside, |steps| {
        cycle((steps + 4.0).ln() * 0.34, [0.00, 0.10, 0.22])
    })
}

/// The Burning Ship at anchor, right way up.
pub(crate) fn burning_ship(x: f64, y: f64) -> Colour {
    let (cx, cy) = (-1.762 + x * 0.045, -0.028 - y * 0.045);
    let hull = [0.03, 0.02, 0.05];
    escape_time(0.0, 0.0, 500, |a, b| {
        (a * a - b * b + cx, 2.0 * (a * b).abs() + cy)
    })
    .map_or(hull, |steps| {
        let heat = (steps / 60.0).powf(0.7);
        mix(
            [0.05, 0.06, 0.18],
            mix([0.95, 0.42, 0.10], [1.0, 0.95, 0.7], heat),
            heat * 1.6,
        )
    })
}

/// Which root of z³ = 1 Newton's method finds, and how soon.
pub(crate) fn newton(x: f64, y: f64) -> Colour {
    const ROOTS: [(f64, f64); 3] = [
        (1.0, 0.0),
        (-0.5, 0.866_025_403_784_438_6),
        (-0.5, -0.866_025_403_784_438_6),
    ];
    const COLOURS: [Colour; 3] = [[0.93, 0.45, 0.35], [0.22, 0.60, 0.62], [0.95, 0.78, 0.40]];
    let (mut a, mut b) = (x * 1.3, y * 1.3);
    for count in 0..60 {
        let (square_a, square_b) = (a * a - b * b, 2.0 * a * b);
        let norm = (square_a * square_a + square_b * square_b).max(1e-12);
        // z - (z³ - 1) / 3z² = (2z + 1/z²) / 3.
        a = (2.0 * a + square_a / norm) / 3.0;
        b = (2.0 * b - square_b / norm) / 3.0;
        for (root, colour) in ROOTS.iter().zip(COLOURS) {
            let distance = (a - root.0).hypot(b - root.1);
            if distance < 1e-3 {
                let late = (f64::from(count) + distance.max(1e-9).ln().abs().recip()) / 18.0;
                return mix(colour, [0.08, 0.07, 0.14], late);
            }
        }
    }
    [0.08, 0.07, 0.14]
}
