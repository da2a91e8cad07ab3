//! What the operating system refused, in words that help.

use std::{fmt, io};

use rustix::io::Errno;

/// The operating system refused something that a link needs.
///
/// Travels inside of an [`io::Error`] of the same kind, so that callers can match on the kind and
/// people read the advice.
#[derive(Debug)]
pub struct SystemError {
    doing: &'static str,
    source: io::Error,
    advice: Option<&'static str>,
}

impl SystemError {
    /// What was being done, for example `create a memory file`.
    pub fn doing(&self) -> &'static str {
        self.doing
    }

    /// What whoever runs this program can do about it, where that is known.
    pub fn advice(&self) -> Option<&'static str> {
        self.advice
    }
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SystemError { doing, source, .. } = self;
        write!(f, "cannot {doing}: {source}")?;
        match self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SystemError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Says what failed, and what helps against errors that have one usual cause.
pub(crate) fn refused(doing: &'static str, source: impl Into<io::Error>) -> io::Error {
    let source = source.into();
    let kind = source.kind();
    let advice = advice(&source);
    let error = SystemError {
        doing,
        source,
        advice,
    };
    io::Error::new(kind, error)
}

/// As [`refused`], where the operation knows better than the error number what helps.
pub(crate) fn refused_because(
    doing: &'static str,
    source: impl Into<io::Error>,
    advice: &'static str,
) -> io::Error {
    let source = source.into();
    let kind = source.kind();
    let error = SystemError {
        doing,
        source,
        advice: Some(advice),
    };
    io::Error::new(kind, error)
}

fn advice(err: &io::Error) -> Option<&'static str> {
    let errno = Errno::from_io_error(err)?;
    Some(match errno {
        Errno::NOSPC | Errno::NOMEM => {
            "no memory is left for this process: raise its memory limit (cgroup, ulimit -v), or \
             lower the payload sizes of its ShmConfig"
        }
        Errno::MFILE => {
            "this process has no descriptor left: raise its limit (ulimit -n); a link takes six"
        }
        Errno::NFILE => "the whole system has no descriptor left: raise fs.file-max",
        Errno::TOOMANYREFS => {
            "too many descriptors are on their way to a peer that does not read them: raise this \
             process's limit (ulimit -n)"
        }
        Errno::FBIG => "the limit on the size of files is lower than a lane: raise it (ulimit -f)",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_kind_and_says_what_to_do() {
        let err = refused("create a memory file", Errno::MFILE);
        assert_eq!(err.kind(), io::Error::from(Errno::MFILE).kind());
        let text = err.to_string();
        assert!(text.starts_with("cannot create a memory file: "), "{text}");
        assert!(text.contains("ulimit -n"), "{text}");
    }
}
