//! Draws the pictures of the gallery, so that nobody has to ask where they came from.
//!
//! ```text
//! cargo run --release -p site --example make_images -- demos/site/content/gallery/images
//! ```
//!
//! Every picture is a pure function of its coordinates: no clock, no random state, no input files.
//! `canvas` turns such a function into pixels, `noise` gives the functions something to build on,
//! `fractals` and `patterns` hold the functions themselves.

mod canvas;
mod fractals;
mod noise;
mod patterns;

use std::path::PathBuf;
use std::process::ExitCode;

use canvas::{Encoding, Painting};

/// Each picture with its file name; the extension chooses the encoding.
const PAINTINGS: &[Painting] = &[
    Painting::new("mandelbrot.jpg", Encoding::Jpeg, fractals::mandelbrot),
    Painting::new("julia.jpg", Encoding::Jpeg, fractals::julia),
    Painting::new("burning-ship.jpg", Encoding::Jpeg, fractals::burning_ship),
    Painting::new("newton.jpg", Encoding::Jpeg, fractals::newton),
    Painting::new("terrain.jpg", Encoding::Jpeg, patterns::terrain),
    Painting::new("marble.jpg", Encoding::Jpeg, patterns::marble),
    Painting::new("cells.jpg", Encoding::Jpeg, patterns::cells),
    Painting::new("ripples.jpg", Encoding::Jpeg, patterns::ripples),
    Painting::new("ridges.jpg", Encoding::Jpeg, patterns::ridges),
    Painting::new("aurora.jpg", Encoding::Jpeg, patterns::aurora),
    Painting::new("truchet.png", Encoding::Png, patterns::truchet),
    Painting::new("rule-30.png", Encoding::Png, patterns::rule_30),
];

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: make_images FOLDER");
        return ExitCode::from(2);
    };
    if let Err(error) = std::fs::create_dir_all(&folder) {
        eprintln!("error: cannot create {}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    for painting in PAINTINGS {
        match painting.save(&folder) {
            Ok(bytes) => println!("{:<20} {:>5} KiB", painting.name, bytes / 1024),
            Err(error) => {
                eprintln!("error: cannot write {}: {error}", painting.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
