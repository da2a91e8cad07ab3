//! Landscapes, textures and tilings.

use crate::canvas::{Colour, HEIGHT, mix, ramp};
use crate::noise::{lattice, layered, smooth};

/// A map of lakes and hills with light from the north-west.
pub(crate) fn terrain(x: f64, y: f64) -> Colour {
    let ground =
        |x: f64, y: f64| layered(x * 1.7 + 7.3, y * 1.7 + 2.1, 7, 11).powf(1.4) * 2.1 - 0.35;
    let height = ground(x, y);
    let light = ((ground(x + 0.004, y - 0.004) - height) * 26.0).clamp(-0.45, 0.45);
    let base = if height < 0.32 {
        ramp(
            &[[0.05, 0.16, 0.32], [0.13, 0.36, 0.53], [0.45, 0.68, 0.73]],
            height / 0.32,
        )
    } else {
        ramp(
            &[
                [0.87, 0.81, 0.62],
                [0.45, 0.60, 0.33],
                [0.25, 0.42, 0.26],
                [0.50, 0.44, 0.38],
                [0.96, 0.96, 0.97],
            ],
            (height - 0.32) / 0.6,
        )
    };
    let shade = if height < 0.32 { 1.0 } else { 1.0 - light };
    base.map(|channel| channel * shade)
}

/// Noise displaced by noise, twice, which looks like polished stone.
pub(crate) fn marble(x: f64, y: f64) -> Colour {
    let first = (
        layered(x * 1.1, y * 1.1, 5, 21),
        layered(x * 1.1 + 5.2, y * 1.1 + 1.3, 5, 22),
    );
    let warp = |seed: u64, dx: f64, dy: f64| {
        layered(
            x * 1.1 + 3.0 * first.0 + dx,
            y * 1.1 + 3.0 * first.1 + dy,
            5,
            seed,
        )
    };
    let second = (warp(23, 1.7, 9.2), warp(24, 8.3, 2.8));
    let value = layered(x + 3.2 * second.0, y + 3.2 * second.1, 5, 25);
    let stone = ramp(
        &[
            [0.06, 0.09, 0.15],
            [0.16, 0.32, 0.42],
            [0.62, 0.72, 0.70],
            [0.97, 0.92, 0.83],
        ],
        (value - 0.22) * 1.8,
    );
    mix(stone, [0.80, 0.42, 0.26], (second.1 - 0.48) * 1.7)
}

/// A Voronoi diagram with the borders drawn, like leaf cells under a microscope.
pub(crate) fn cells(x: f64, y: f64) -> Colour {
    let (px, py) = (x * 6.0, y * 6.0);
    let (mut nearest, mut second, mut owner) = (f64::MAX, f64::MAX, (0, 0));
    for dy in -2..=2 {
        for dx in -2..=2 {
            let (column, row) = (px.floor() as i64 + dx, py.floor() as i64 + dy);
            let site_x = column as f64 + lattice(column, row, 31);
            let site_y = row as f64 + lattice(column, row, 32);
            let distance = (px - site_x).hypot(py - site_y);
            if distance < nearest {
                (second, nearest, owner) = (nearest, distance, (column, row));
            } else if distance < second {
                second = distance;
            }
        }
    }
    let hue = lattice(owner.0, owner.1, 33);
    let fill = ramp(
        &[
            [0.16, 0.38, 0.33],
            [0.38, 0.60, 0.36],
            [0.78, 0.80, 0.46],
            [0.93, 0.68, 0.40],
        ],
        hue,
    );
    let lit = mix(fill, [1.0, 1.0, 0.92], 0.35 - nearest * 0.45);
    mix([0.07, 0.15, 0.14], lit, (second - nearest) * 9.0)
}

/// Waves from five stones dropped into a pond.
pub(crate) fn ripples(x: f64, y: f64) -> Colour {
    const STONES: [(f64, f64, f64); 5] = [
        (-0.9, 0.4, 34.0),
        (0.7, 0.6, 29.0),
        (0.1, -0.7, 38.0),
        (1.3, -0.5, 25.0),
        (-1.4, -0.8, 31.0),
    ];
    let height: f64 = STONES
        .iter()
        .map(|&(sx, sy, frequency)| {
            let distance = (x - sx).hypot(y - sy);
            (distance * frequency).sin() / (1.0 + distance * 1.6)
        })
        .sum();
    let water = ramp(
        &[
            [0.02, 0.10, 0.20],
            [0.05, 0.30, 0.45],
            [0.36, 0.66, 0.74],
            [0.95, 0.98, 0.96],
        ],
        0.45 + height * 0.28,
    );
    mix(water, [0.99, 0.80, 0.55], (y - 0.2) * 0.4)
}

/// Mountain ridges one behind the other, paler with distance.
pub(crate) fn ridges(x: f64, y: f64) -> Colour {
    const LAYERS: u32 = 8;
    let sun = 1.0 - ((x - 0.55).hypot(y - 0.42) / 0.13).powi(6).min(1.0);
    let sky = ramp(
        &[[0.98, 0.80, 0.62], [0.95, 0.62, 0.55], [0.36, 0.40, 0.62]],
        (y + 0.2) / 1.2,
    );
    let mut colour = mix(sky, [1.0, 0.95, 0.82], sun);
    for layer in 0..LAYERS {
        let near = f64::from(layer) / f64::from(LAYERS - 1);
        let seed = 40 + u64::from(layer);
        let rough = layered(x * (1.2 + near * 1.4) + near * 9.0, 0.5, 6, seed) - 0.5;
        let crest = 0.34 - near * 1.05 + rough * (0.55 + near * 0.25);
        if y < crest {
            let paint = mix([0.62, 0.55, 0.66], [0.07, 0.10, 0.19], near);
            let mist = mix(paint, [0.98, 0.78, 0.66], (crest - y) * (0.75 - near * 0.5));
            colour = mix(colour, mist, (crest - y) * 400.0);
        }
    }
    colour
}

/// Northern lights: vertical curtains folded by noise, over stars.
pub(crate) fn aurora(x: f64, y: f64) -> Colour {
    let mut colour = mix([0.02, 0.05, 0.11], [0.03, 0.02, 0.08], y.midpoint(1.0));
    let star = lattice((x * 260.0).floor() as i64, (y * 260.0).floor() as i64, 51);
    if star > 0.9985 {
        colour = mix(colour, [0.95, 0.95, 1.0], (star - 0.9985) * 600.0);
    }
    for curtain in 0_i32..4 {
        let depth = f64::from(curtain) / 3.0;
        let fold = layered(x * 1.3 + depth * 6.0, depth * 4.0, 4, 52) * 1.5 - 1.05 + depth * 0.35;
        let above = y - fold;
        if above > 0.0 {
            let rays = 0.45 + 0.55 * smooth(x * 22.0 + fold * 9.0, above * 0.8, 53);
            let glow = (-above * (2.1 + depth)).exp() * rays * (1.0 - (-above * 26.0).exp());
            let light = mix([0.25, 0.95, 0.62], [0.58, 0.30, 0.86], above * 1.15);
            colour = [0, 1, 2].map(|i| colour[i] + light[i] * glow * 0.62);
        }
    }
    let shore = -0.78 + layered(x * 2.5, 0.3, 5, 54) * 0.18;
    mix(colour, [0.01, 0.02, 0.03], (shore - y) * 300.0)
}

/// Quarter circles on square tiles, each tile turned at random.
pub(crate) fn truchet(x: f64, y: f64) -> Colour {
    const TILE: f64 = 0.16;
    const LINE: f64 = 0.17;
    let (column, row) = ((x / TILE).floor(), (y / TILE).floor());
    let (mut u, v) = (x / TILE - column, y / TILE - row);
    if lattice(column as i64, row as i64, 61) < 0.5 {
        u = 1.0 - u;
    }
    let distance = (u.hypot(v) - 0.5)
        .abs()
        .min(((1.0 - u).hypot(1.0 - v) - 0.5).abs());
    if distance < LINE * 0.55 {
        [0.97, 0.79, 0.36]
    } else if distance < LINE {
        [0.85, 0.36, 0.30]
    } else {
        [0.12, 0.17, 0.27]
    }
}

/// The cellular automaton Rule 30 grown from a single cell, newest row at the bottom.
pub(crate) fn rule_30(x: f64, y: f64) -> Colour {
    /// Pixels per cell.
    const CELL: f64 = 4.0;
    const ROWS: usize = (HEIGHT / 4) as usize;
    const COLUMNS: usize = 2 * ROWS + 801;
    static HISTORY: std::sync::OnceLock<Vec<Vec<bool>>> = std::sync::OnceLock::new();
    let history = HISTORY.get_or_init(|| {
        let mut rows = vec![vec![false; COLUMNS]];
        rows[0][COLUMNS / 2] = true;
        for index in 1..ROWS {
            let before = &rows[index - 1];
            let alive = |column: usize| before.get(column).copied().unwrap_or(false);
            let next = (0..COLUMNS)
                .map(|column| alive(column.wrapping_sub(1)) ^ (alive(column) | alive(column + 1)))
                .collect();
            rows.push(next);
        }
        rows
    });
    let scale = f64::from(HEIGHT) / 2.0;
    let row = (((1.0 - y) * scale / CELL) as usize).min(ROWS - 1);
    let column = (COLUMNS / 2) as f64 + (x * scale / CELL).floor();
    if history[row].get(column as usize).copied().unwrap_or(false) {
        [0.15, 0.13, 0.35]
    } else {
        [0.96, 0.94, 0.89]
    }
}
