//! Kinds of faults.

use std::fmt;

/// The kinds of [`What`](super::What).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FaultKind {
    /// [`What::Kill`](super::What::Kill).
    Kill,
    /// [`What::KillLosing`](super::What::KillLosing).
    KillLosing,
    /// [`What::KillAfterStore`](super::What::KillAfterStore).
    KillAfterStore,
    /// [`What::Restart`](super::What::Restart).
    Restart,
    /// [`What::Hang`](super::What::Hang).
    Hang,
    /// [`What::Slow`](super::What::Slow).
    Slow,
    /// [`What::ClockSkew`](super::What::ClockSkew).
    ClockSkew,
    /// [`What::Freeze`](super::What::Freeze).
    Freeze,
    /// [`What::Thaw`](super::What::Thaw).
    Thaw,
    /// [`What::Latency`](super::What::Latency).
    Latency,
    /// [`What::Window`](super::What::Window).
    Window,
    /// [`What::ShortIo`](super::What::ShortIo).
    ShortIo,
    /// [`What::Cut`](super::What::Cut).
    Cut,
    /// [`What::CutHalf`](super::What::CutHalf).
    CutHalf,
    /// [`What::Corrupt`](super::What::Corrupt).
    Corrupt,
    /// [`What::Doorbell`](super::What::Doorbell).
    Doorbell,
    /// [`What::Exhaust`](super::What::Exhaust).
    Exhaust,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [FaultKind; 17] = [
        FaultKind::Kill,
        FaultKind::KillLosing,
        FaultKind::KillAfterStore,
        FaultKind::Restart,
        FaultKind::Hang,
        FaultKind::Slow,
        FaultKind::ClockSkew,
        FaultKind::Freeze,
        FaultKind::Thaw,
        FaultKind::Latency,
        FaultKind::Window,
        FaultKind::ShortIo,
        FaultKind::Cut,
        FaultKind::CutHalf,
        FaultKind::Corrupt,
        FaultKind::Doorbell,
        FaultKind::Exhaust,
    ];

    /// The word for it; the same as in TOML.
    pub const fn name(self) -> &'static str {
        match self {
            FaultKind::Kill => "kill",
            FaultKind::KillLosing => "kill_losing",
            FaultKind::KillAfterStore => "kill_after_store",
            FaultKind::Restart => "restart",
            FaultKind::Hang => "hang",
            FaultKind::Slow => "slow",
            FaultKind::ClockSkew => "clock_skew",
            FaultKind::Freeze => "freeze",
            FaultKind::Thaw => "thaw",
            FaultKind::Latency => "latency",
            FaultKind::Window => "window",
            FaultKind::ShortIo => "short_io",
            FaultKind::Cut => "cut",
            FaultKind::CutHalf => "cut_half",
            FaultKind::Corrupt => "corrupt",
            FaultKind::Doorbell => "doorbell",
            FaultKind::Exhaust => "exhaust",
        }
    }

    /// Whether it concerns a process; if not, it concerns a link.
    pub const fn is_of_process(self) -> bool {
        match self {
            FaultKind::Kill
            | FaultKind::KillLosing
            | FaultKind::KillAfterStore
            | FaultKind::Restart
            | FaultKind::Hang
            | FaultKind::Slow
            | FaultKind::ClockSkew => true,
            FaultKind::Freeze
            | FaultKind::Thaw
            | FaultKind::Latency
            | FaultKind::Window
            | FaultKind::ShortIo
            | FaultKind::Cut
            | FaultKind::CutHalf
            | FaultKind::Corrupt
            | FaultKind::Doorbell
            | FaultKind::Exhaust => false,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
