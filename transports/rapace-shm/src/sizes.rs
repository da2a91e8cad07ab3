//! How large allocations and segments are: what the allocator's classes make of a number of bytes.

use crate::layout::PAGE;

/// Allocations are multiples of this, in bytes: no two payloads share a cache line.
pub(crate) const GRANULE: usize = 64;

/// The units of an allocation, at least one.
pub(crate) fn granules(bytes: usize) -> usize {
    fitting_granules(bytes.div_ceil(GRANULE).max(1))
}

/// The allocator keeps free runs in classes of four significant bits and looks for a class whose
/// every run is large enough; so what is asked for is rounded up to the class.
pub(crate) fn fitting_granules(granules: usize) -> usize {
    let bits = usize::BITS - granules.leading_zeros();
    let step = 1 << bits.saturating_sub(4);
    granules.next_multiple_of(step)
}

/// The largest allocation that fits into so many free granules in one run.
pub(crate) fn floor_granules(granules: usize) -> usize {
    let bits = usize::BITS - granules.leading_zeros();
    let step = 1 << bits.saturating_sub(4);
    granules - granules % step
}

/// The longest payload of a lane with a first segment of `base` bytes that may have `max` bytes in
/// all: half of it, or less where no segment could hold that much.
pub(crate) fn payload_bytes_max(base: usize, max: usize) -> usize {
    let max = max.max(base);
    let floor = |bytes: usize| floor_granules(bytes / GRANULE) * GRANULE;
    let further = max - base;
    let further = further - further % PAGE;
    (max / 2).min(floor(base).max(floor(further)))
}

/// The smallest segment that holds one allocation of `bytes`, in bytes.
pub(crate) fn fitting(bytes: usize) -> usize {
    let granules = fitting_granules(bytes.next_multiple_of(PAGE) / GRANULE);
    (granules * GRANULE).next_multiple_of(PAGE)
}
