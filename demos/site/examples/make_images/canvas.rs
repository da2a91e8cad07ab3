//! From a colour function to a file.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ImageResult, Rgb, RgbImage};

/// Width of every picture in pixels.
pub(crate) const WIDTH: u32 = 1600;
/// Height of every picture in pixels: 1.6 megapixels in all.
pub(crate) const HEIGHT: u32 = 1000;
/// Samples per pixel and axis. Smooth edges also make smaller JPEG files.
const SAMPLES: u32 = 3;

/// A colour, red green blue, each 0 to 1.
pub(crate) type Colour = [f64; 3];

/// How a picture is stored.
#[derive(Clone, Copy)]
pub(crate) enum Encoding {
    /// Smooth pictures.
    Jpeg,
    /// Pictures of few flat colours, drawn without smoothing.
    Png,
}

/// One picture: a name and the function that colours a point.
///
/// The function takes x in `-aspect..aspect` and y in `-1..1`, y upwards.
pub(crate) struct Painting {
    pub(crate) name: &'static str,
    encoding: Encoding,
    colour: fn(f64, f64) -> Colour,
}

impl Painting {
    pub(crate) const fn new(
        name: &'static str,
        encoding: Encoding,
        colour: fn(f64, f64) -> Colour,
    ) -> Self {
        Self {
            name,
            encoding,
            colour,
        }
    }

    /// Draws and writes the picture, and says how many bytes the file has.
    pub(crate) fn save(&self, folder: &Path) -> ImageResult<u64> {
        let samples = match self.encoding {
            Encoding::Jpeg => SAMPLES,
            Encoding::Png => 1,
        };
        let pixels = RgbImage::from_fn(WIDTH, HEIGHT, |column, row| {
            self.pixel(column, row, samples)
        });
        let path = folder.join(self.name);
        let file = BufWriter::new(File::create(&path)?);
        match self.encoding {
            Encoding::Jpeg => pixels.write_with_encoder(JpegEncoder::new_with_quality(file, 80))?,
            Encoding::Png => pixels.write_with_encoder(PngEncoder::new_with_quality(
                file,
                CompressionType::Best,
                FilterType::NoFilter,
            ))?,
        }
        Ok(std::fs::metadata(path)?.len())
    }

    fn pixel(&self, column: u32, row: u32, samples: u32) -> Rgb<u8> {
        let scale = f64::from(HEIGHT) / 2.0;
        let mut sum = [0.0; 3];
        for sub_row in 0..samples {
            for sub_column in 0..samples {
                let step = |index: u32| (f64::from(index) + 0.5) / f64::from(samples);
                let x = (f64::from(column) + step(sub_column) - f64::from(WIDTH) / 2.0) / scale;
                let y = (f64::from(HEIGHT) / 2.0 - f64::from(row) - step(sub_row)) / scale;
                let colour = (self.colour)(x, y);
                for (total, channel) in sum.iter_mut().zip(colour) {
                    *total += channel;
                }
            }
        }
        Rgb(sum.map(|total| {
            let mean = total / f64::from(samples * samples);
            (mean.clamp(0.0, 1.0) * 255.0).round() as u8
        }))
    }
}

/// Blends from `a` to `b` as `t` goes from 0 to 1.
pub(crate) fn mix(a: Colour, b: Colour, t: f64) -> Colour {
    let t = t.clamp(0.0, 1.0);
    [0, 1, 2].map(|i| a[i] + (b[i] - a[i]) * t)
}

/// Walks along a row of colours as `t` goes from 0 to 1.
pub(crate) fn ramp(stops: &[Colour], t: f64) -> Colour {
    let position = t.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
    let index = (position as usize).min(stops.len() - 2);
    mix(stops[index], stops[index + 1], position - index as f64)
}

/// A smooth cyclic palette (the cosine gradients that shader writers use).
pub(crate) fn cycle(t: f64, phase: Colour) -> Colour {
    phase.map(|offset| 0.5 + 0.5 * (std::f64::consts::TAU * (t + offset)).cos())
}
