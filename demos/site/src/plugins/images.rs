//! The images plugin: decode once, scale to several widths, encode each.
//!
//! Pixels travel as [`Bytes`], so that a picture of some megabytes is handed on and not rewritten.
//! Each step is a call of its own: a picture whose plugin died while encoding is not decoded again.
//! The work itself runs on tokio's blocking threads, so that a big picture delays no other call.

use std::io::Cursor;

use bytes::Bytes;
use facet::Facet;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType as PngFilter, PngEncoder};
use image::imageops::FilterType;
use image::{ExtendedColorType, ImageEncoder, ImageReader, RgbImage, RgbaImage};

/// The largest width or height that is decoded, in pixels.
const MAX_SIDE: u32 = 16_384;
/// The most memory that decoding one file may take, in bytes.
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// Width and height.
#[derive(Facet, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dimensions {
    /// Pixels across.
    pub(crate) width: u32,
    /// Pixels down.
    pub(crate) height: u32,
}

/// A decoded picture.
#[derive(Facet, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pixels {
    /// Pixels across.
    pub(crate) width: u32,
    /// Pixels down.
    pub(crate) height: u32,
    /// Bytes per pixel: 3 for red, green, blue; 4 with alpha after them.
    pub(crate) channels: u8,
    /// The rows from the top, without padding: `width * height * channels` bytes.
    pub(crate) samples: Bytes,
}

/// What to encode to.
#[derive(Facet, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Format {
    /// JPEG. Alpha is dropped.
    Jpeg {
        /// 1 (smallest) to 100.
        quality: u8,
    },
    /// PNG, lossless.
    Png,
}

/// Why a picture was refused.
#[derive(Facet, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub(crate) enum ImageError {
    /// The file is no picture of a format that this plugin knows, or is damaged.
    #[error("cannot decode the picture: {0}")]
    Decode(String),
    /// The sample buffer does not have the length that its dimensions need.
    #[error("{width}×{height} pixels of {channels} bytes do not make {bytes} bytes")]
    WrongLength {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// Bytes per pixel.
        channels: u8,
        /// Length of the buffer.
        bytes: u64,
    },
    /// A width of nothing, or more than the picture has.
    #[error("cannot scale {from} pixels across to {to}")]
    WrongWidth {
        /// The width of the picture.
        from: u32,
        /// The width that was asked for.
        to: u32,
    },
    /// The encoder failed.
    #[error("cannot encode the picture: {0}")]
    Encode(String),
    /// The step panicked or was cancelled.
    #[error("the step did not end: {0}")]
    Lost(String),
}

/// The images plugin.
#[rapace::service]
pub(crate) trait Images {
    /// Reads the dimensions from the header of `file` without decoding it.
    #[rapace(idempotent)]
    async fn probe(&self, file: Bytes) -> Result<Dimensions, ImageError>;
    /// Decodes a JPEG or PNG file.
    #[rapace(idempotent)]
    async fn decode(&self, file: Bytes) -> Result<Pixels, ImageError>;
    /// Scales down to `width` pixels across, keeping the proportions.
    #[rapace(idempotent)]
    async fn scale(&self, pixels: Pixels, width: u32) -> Result<Pixels, ImageError>;
    /// Writes an image file.
    #[rapace(idempotent)]
    async fn encode(&self, pixels: Pixels, format: Format) -> Result<Bytes, ImageError>;
}

/// The implementation of [`Images`].
pub(crate) struct ImagesPlugin;

impl Images for ImagesPlugin {
    async fn probe(&self, file: Bytes) -> Result<Dimensions, ImageError> {
        let (width, height) = reader(&file)?.into_dimensions().map_err(decode_error)?;
        Ok(Dimensions { width, height })
    }

    async fn decode(&self, file: Bytes) -> Result<Pixels, ImageError> {
        off_loop(move || decode(&file)).await
    }

    async fn scale(&self, pixels: Pixels, width: u32) -> Result<Pixels, ImageError> {
        off_loop(move || scale(&pixels, width)).await
    }

    async fn encode(&self, pixels: Pixels, format: Format) -> Result<Bytes, ImageError> {
        off_loop(move || encode(&pixels, format)).await
    }
}

/// Runs a step that takes milliseconds where it does not hold up the event loop.
async fn off_loop<T: Send + 'static>(
    step: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    match tokio::task::spawn_blocking(step).await {
        Ok(result) => result,
        Err(error) => Err(ImageError::Lost(error.to_string())),
    }
}

fn reader(file: &Bytes) -> Result<ImageReader<Cursor<&[u8]>>, ImageError> {
    let mut reader = ImageReader::new(Cursor::new(&file[..]))
        .with_guessed_format()
        .map_err(|error| ImageError::Decode(error.to_string()))?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    Ok(reader)
}

fn decode(file: &Bytes) -> Result<Pixels, ImageError> {
    let picture = reader(file)?.decode().map_err(decode_error)?;
    let (width, height) = (picture.width(), picture.height());
    let (channels, samples) = if picture.color().has_alpha() {
        (4, picture.into_rgba8().into_raw())
    } else {
        (3, picture.into_rgb8().into_raw())
    };
    Ok(Pixels {
        width,
        height,
        channels,
        samples: samples.into(),
    })
}

fn scale(pixels: &Pixels, width: u32) -> Result<Pixels, ImageError> {
    pixels.check()?;
    if width == 0 || width > pixels.width {
        return Err(ImageError::WrongWidth {
            from: pixels.width,
            to: width,
        });
    }
    let exact = u64::from(pixels.height) * u64::from(width);
    let height = ((exact + u64::from(pixels.width) / 2) / u64::from(pixels.width)).max(1) as u32;
    // CatmullRom is sharp enough for photographs and twice as fast as Lanczos.
    let filter = FilterType::CatmullRom;
    let samples = pixels.samples.to_vec();
    let scaled = if pixels.channels == 4 {
        RgbaImage::from_raw(pixels.width, pixels.height, samples)
            .map(|picture| image::imageops::resize(&picture, width, height, filter).into_raw())
    } else {
        RgbImage::from_raw(pixels.width, pixels.height, samples)
            .map(|picture| image::imageops::resize(&picture, width, height, filter).into_raw())
    };
    let samples = scaled.ok_or_else(|| pixels.wrong_length())?.into();
    Ok(Pixels {
        width,
        height,
        channels: pixels.channels,
        samples,
    })
}

fn encode(pixels: &Pixels, format: Format) -> Result<Bytes, ImageError> {
    pixels.check()?;
    let colour = if pixels.channels == 4 {
        ExtendedColorType::Rgba8
    } else {
        ExtendedColorType::Rgb8
    };
    let (width, height) = (pixels.width, pixels.height);
    let mut file = Vec::new();
    let done = match format {
        Format::Jpeg { quality } => {
            let encoder = JpegEncoder::new_with_quality(&mut file, quality.clamp(1, 100));
            if pixels.channels == 4 {
                let opaque: Vec<u8> = pixels
                    .samples
                    .chunks_exact(4)
                    .flat_map(|pixel| &pixel[..3])
                    .copied()
                    .collect();
                encoder.write_image(&opaque, width, height, ExtendedColorType::Rgb8)
            } else {
                encoder.write_image(&pixels.samples, width, height, colour)
            }
        }
        Format::Png => {
            PngEncoder::new_with_quality(&mut file, CompressionType::Default, PngFilter::Adaptive)
                .write_image(&pixels.samples, width, height, colour)
        }
    };
    done.map_err(|error| ImageError::Encode(error.to_string()))?;
    Ok(file.into())
}

impl Pixels {
    /// Checks the length of the buffer, which came from another process.
    fn check(&self) -> Result<(), ImageError> {
        let pixels = u64::from(self.width) * u64::from(self.height);
        let bytes = pixels.saturating_mul(u64::from(self.channels));
        if matches!(self.channels, 3 | 4) && pixels > 0 && bytes == self.samples.len() as u64 {
            Ok(())
        } else {
            Err(self.wrong_length())
        }
    }

    fn wrong_length(&self) -> ImageError {
        ImageError::WrongLength {
            width: self.width,
            height: self.height,
            channels: self.channels,
            bytes: self.samples.len() as u64,
        }
    }
}

fn decode_error(error: image::ImageError) -> ImageError {
    ImageError::Decode(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width: u32, height: u32, channels: u8) -> Pixels {
        let length = width * height * u32::from(channels);
        let samples: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        Pixels {
            width,
            height,
            channels,
            samples: samples.into(),
        }
    }

    #[test]
    fn a_png_comes_back_exactly() {
        for channels in [3, 4] {
            let pixels = gradient(33, 7, channels);
            let file = encode(&pixels, Format::Png).unwrap();
            assert_eq!(decode(&file).unwrap(), pixels);
        }
    }

    #[test]
    fn scaling_keeps_proportions() {
        let scaled = scale(&gradient(1600, 1000, 3), 480).unwrap();
        assert_eq!((scaled.width, scaled.height), (480, 300));
        assert_eq!(scaled.samples.len(), 480 * 300 * 3);
        assert_eq!(scale(&gradient(900, 1, 3), 10).unwrap().height, 1);
    }

    #[test]
    fn the_same_pixels_make_the_same_file() {
        let pixels = gradient(64, 64, 4);
        for format in [Format::Jpeg { quality: 70 }, Format::Png] {
            assert_eq!(
                encode(&pixels, format).unwrap(),
                encode(&pixels, format).unwrap()
            );
        }
    }

    #[test]
    fn wrong_buffers_and_files_are_refused() {
        let mut pixels = gradient(8, 8, 3);
        pixels.height = 9;
        let refusal = ImageError::WrongLength {
            width: 8,
            height: 9,
            channels: 3,
            bytes: 192,
        };
        assert_eq!(encode(&pixels, Format::Png), Err(refusal.clone()));
        assert_eq!(scale(&pixels, 4), Err(refusal));
        assert_eq!(
            scale(&gradient(8, 8, 3), 9),
            Err(ImageError::WrongWidth { from: 8, to: 9 })
        );
        assert!(matches!(
            decode(&Bytes::from_static(b"GIF89a")),
            Err(ImageError::Decode(_))
        ));
    }
}
