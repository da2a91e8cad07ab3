use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

use memmap2::MmapOptions;
use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate, memfd_create,
};

use super::{Refused, SEALS, create, open};
use crate::Memory;
use crate::layout::PAGE;

/// What opening such a file says.
fn refusal(file: OwnedFd, bytes: usize) -> String {
    match open(file, bytes as u64) {
        Err(Refused::Malformed(what)) => what.into_owned(),
        other => panic!("{other:?}"),
    }
}

/// A memory file made by hand: allocated, with these seals.
fn by_hand(bytes: usize, seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create(c"by-hand", flags).expect("a memory file");
    if bytes > 0 {
        fallocate(&file, FallocateFlags::empty(), 0, bytes as u64).expect("allocated");
    }
    fcntl_add_seals(&file, seals).expect("sealed");
    file
}

#[test]
fn what_the_owner_writes_is_read_by_the_receiver() {
    let own = create(3 * PAGE - 5).expect("memory");
    assert_eq!(own.len_bytes(), 3 * PAGE, "whole pages");
    let file = own.take_file().expect("a descriptor");
    let peer = open(file, own.len_bytes() as u64).expect("the receiver maps it");
    assert!(own.take_file().is_err() && peer.take_file().is_err());

    // After it was sealed and the descriptor was closed.
    own.store(2 * PAGE, 7, Ordering::Release);
    own.write(PAGE - 3, b"across two pages");
    assert_eq!(peer.load(2 * PAGE, Ordering::Acquire), 7);
    let mut bytes = [0; 16];
    peer.read(PAGE - 3, &mut bytes);
    assert_eq!(&bytes, b"across two pages");
}

#[test]
fn row_16_offsets_beyond_the_memory_and_stores_to_the_peer_panic() {
    let own = create(PAGE).expect("memory");
    let file = own.take_file().expect("a descriptor");
    let peer = open(file, PAGE as u64).expect("the receiver maps it");
    let refused = |access: &dyn Fn()| {
        let access = std::panic::AssertUnwindSafe(access);
        assert!(std::panic::catch_unwind(access).is_err());
    };
    for at in [PAGE, PAGE - 4, 4, usize::MAX, usize::MAX - 7] {
        refused(&|| assert_ne!(own.load(at, Ordering::Relaxed), 1));
        refused(&|| own.store(at, 1, Ordering::Relaxed));
    }
    for (at, len) in [(PAGE, 1), (PAGE - 1, 2), (usize::MAX, 2), (0, PAGE + 1)] {
        refused(&|| own.read(at, &mut vec![0; len]));
        refused(&|| own.write(at, &vec![0; len]));
    }
    refused(&|| peer.store(0, 1, Ordering::Relaxed));
    refused(&|| peer.write(0, &[1]));
    peer.read(PAGE, &mut []);
}

#[test]
fn seals_refuse_every_way_to_write_or_resize() {
    let own = create(2 * PAGE).expect("memory");
    own.write(0, b"rapace");
    let file = own.take_file().expect("a descriptor");
    // What a receiver can do to get around the descriptor that it was given.
    let reopened = OpenOptions::new()
        .read(true)
        .write(true)
        .open(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let mut files = vec![File::from(file)];
    files.extend(reopened);
    for file in &files {
        assert!(file.write_at(b"x", 0).is_err(), "written");
        assert!(file.set_len(PAGE as u64).is_err(), "shrunk");
        assert!(file.set_len(3 * PAGE as u64).is_err(), "grown");
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        assert!(fallocate(file, punch, 0, PAGE as u64).is_err(), "punched");
        let grow = fallocate(file, FallocateFlags::empty(), 0, 3 * PAGE as u64);
        assert!(grow.is_err(), "allocated");
        assert!(MmapOptions::new().map_raw(file).is_err(), "mapped writable");
        let more = fcntl_add_seals(file, SealFlags::WRITE);
        assert!(more.is_err(), "sealed further");
    }
    let mut bytes = [0; 6];
    own.read(0, &mut bytes);
    assert_eq!(&bytes, b"rapace");
}

#[test]
fn a_read_only_mapping_cannot_be_made_writable() {
    let own = create(PAGE).expect("memory");
    let file = own.take_file().expect("a descriptor");
    let map = MmapOptions::new()
        .map_raw_read_only(&file)
        .expect("readable");
    let path = "/proc/self/maps";
    let maps = std::fs::read_to_string(path).expect("maps");
    let address = format!("{:x}-", map.as_ptr().addr());
    let line = maps.lines().find(|line| line.starts_with(&address));
    // VM_MAYWRITE is not shown, but the flags of the mapping are.
    assert!(line.is_some_and(|line| line.contains(" r--s ")), "{line:?}");
}

#[test]
fn files_without_all_seals_are_refused() {
    let all = [
        SealFlags::FUTURE_WRITE,
        SealFlags::SHRINK,
        SealFlags::GROW,
        SealFlags::SEAL,
    ];
    assert!(open(by_hand(PAGE, SEALS), PAGE as u64).is_ok());
    for missing in all {
        let file = by_hand(PAGE, SEALS.difference(missing));
        let what = refusal(file, PAGE);
        assert!(what.contains("lacks the seals"), "{what}");
    }
    assert!(refusal(by_hand(PAGE, SealFlags::empty()), PAGE).contains("lacks the seals"));
}

#[test]
fn files_of_the_wrong_size_or_kind_are_refused() {
    let short = refusal(by_hand(PAGE, SEALS), 2 * PAGE);
    assert!(
        short.contains("4096 bytes, and 8192 were announced"),
        "{short}"
    );
    assert!(refusal(by_hand(2 * PAGE, SEALS), PAGE).contains("announced"));
    assert!(refusal(by_hand(PAGE + 8, SEALS), PAGE + 8).contains("whole pages"));
    assert!(refusal(by_hand(0, SEALS), 0).contains("whole pages"));

    let sparse = by_hand(0, SealFlags::empty());
    ftruncate(&sparse, PAGE as u64).expect("sized");
    fcntl_add_seals(&sparse, SEALS).expect("sealed");
    assert!(refusal(sparse, PAGE).contains("holes"));

    let ordinary = std::env::current_exe()
        .and_then(File::open)
        .expect("a file");
    assert!(refusal(ordinary.into(), PAGE).contains("cannot be sealed"));
    let device = File::open("/dev/zero").expect("a device");
    assert!(refusal(device.into(), PAGE).contains("no memory file"));
}

#[test]
fn memory_has_no_name_and_is_not_inherited() {
    let own = create(PAGE).expect("memory");
    let file = own.take_file().expect("a descriptor");
    let flags = rustix::io::fcntl_getfd(file.as_fd()).expect("flags");
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    let stat = rustix::fs::fstat(&file).expect("fstat");
    assert_eq!(stat.st_nlink, 0, "a name somewhere");
    assert_eq!(stat.st_blocks * 512, PAGE as i64, "allocated at once");
}

/// Page faults of this thread so far.
fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("procfs");
    // The name, in parentheses, may have spaces.
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    let minor = rest.split_whitespace().nth(7).expect("minflt");
    minor.parse().expect("a number")
}

#[test]
fn new_memory_is_warm() {
    let memory = create(4 << 20).expect("memory");
    let before = faults();
    for at in (0..memory.len_bytes()).step_by(PAGE) {
        memory.write(at, &[1]);
    }
    let faults = faults() - before;
    assert!(faults < 100, "{faults} of 1,024 pages were cold");
}
