//! What a worker sleeps on, and how it wakes its host.

use super::Memory;
use crate::buffer::link::CHANNEL_FD;
use knit_proto::Features;
use knit_ring::{
    Doorbell, EventfdBell, FutexBell, FutexPair, SharedMemory, Ticket, Until, Woken,
    inherited_descriptor,
};
use rustix::fs::{FileType, fstat};
use std::os::fd::RawFd;

type Word = <Memory as SharedMemory>::Word;

/// A worker's doorbell: it sleeps on the host's bell, and wakes those that wait on its own.
#[derive(Debug)]
pub(super) struct Bell {
    /// A word of this process that ends the sleep too.
    threads: Option<FutexPair>,
    /// Rung besides the bell. WAKE-9.
    eventfd: Option<EventfdBell>,
}

impl Bell {
    /// Of a worker whose sleep the threads of its process can end, if there is a word for that.
    pub(super) fn new(threads: Option<FutexPair>) -> Self {
        Self { threads, eventfd: None }
    }

    /// The same for a host that has named the descriptor of its eventfd. Without effect when there is no such
    /// thing: the worker then does not accept the feature. WAKE-10.
    pub(super) fn with_inherited_eventfd(self, number: Option<u32>) -> Self {
        Self { eventfd: number.and_then(inherited_eventfd), ..self }
    }

    /// The same for a segment that offers these features.
    pub(super) fn of_segment(self, offered: Features) -> Self {
        let eventfd = self.eventfd.filter(|_| offered.contains(Features::EVENTFD));
        Self { eventfd, ..self }
    }

    /// The features that it makes possible, beside those that need nothing.
    pub(super) fn features(&self) -> Features {
        self.eventfd.as_ref().map_or(Features::NONE, |_| Features::EVENTFD)
    }

    /// The word with which threads of this process end the sleep.
    pub(super) fn threads(&self) -> Option<&FutexPair> {
        self.threads.as_ref()
    }
}

impl Doorbell<Word> for Bell {
    fn ticket(&self, bell: &Word) -> Ticket {
        match &self.threads {
            None => FutexBell.ticket(bell),
            Some(pair) => pair.ticket(bell),
        }
    }

    fn wait_any(&self, bells: &[(&Word, Ticket)], until: Until<'_>) -> Woken {
        match &self.threads {
            None => FutexBell.wait_any(bells, until),
            Some(pair) => pair.wait_any(bells, until),
        }
    }

    fn wake(&self, bell: &Word) {
        FutexBell.wake(bell);
        if let Some(eventfd) = &self.eventfd {
            eventfd.wake(bell);
        }
    }
}

/// The eventfd that this process has inherited under a number. Nothing that can be told from one is taken.
fn inherited_eventfd(number: u32) -> Option<EventfdBell> {
    // Those before are left as they are: the segment, the output streams, the control channel. WAKE-10.
    if number <= CHANNEL_FD.unsigned_abs() {
        return None;
    }
    let fd = inherited_descriptor(RawFd::try_from(number).ok()?).ok()?;
    // Linux gives files without a place, such as eventfds, no type. The others of that kind refuse to be written to.
    let kind = FileType::from_raw_mode(fstat(&fd).ok()?.st_mode);
    (kind == FileType::Unknown).then(|| EventfdBell::from_fd(fd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};

    /// A copy from 4 on: what a test opens may have a lower number.
    fn inheritable(fd: impl AsFd) -> (u32, OwnedFd) {
        let copy = rustix::io::fcntl_dupfd_cloexec(fd, 4).unwrap();
        (copy.as_raw_fd().unsigned_abs(), copy)
    }

    fn inherits(fd: impl AsFd) -> bool {
        let (number, _copy) = inheritable(fd);
        inherited_eventfd(number).is_some()
    }

    /// WAKE-10.
    #[test]
    fn an_eventfd_is_taken_and_other_descriptors_are_not() {
        assert!(inherits(eventfd(0, EventfdFlags::empty()).unwrap()));
        assert!(inherits(eventfd(0, EventfdFlags::NONBLOCK).unwrap()));
        let memfd = rustix::fs::memfd_create(c"test", rustix::fs::MemfdFlags::empty()).unwrap();
        assert!(!inherits(memfd));
        assert!(!inherits(std::fs::File::open("/dev/null").unwrap()));
        assert!(!inherits(std::io::pipe().unwrap().1));
        assert!(!inherits(std::os::unix::net::UnixDatagram::unbound().unwrap()));
        for number in [0, 1, 2, 3, u32::MAX, i32::MAX.unsigned_abs()] {
            assert!(inherited_eventfd(number).is_none());
        }
    }

    #[test]
    fn an_eventfd_that_is_not_offered_is_not_rung() {
        let (number, _eventfd) = inheritable(EventfdBell::new().unwrap());
        let bell = Bell::new(None).with_inherited_eventfd(Some(number));
        assert_eq!(bell.features(), Features::EVENTFD);
        assert_eq!(bell.of_segment(Features::SUPPORTED).features(), Features::NONE);
        let bell = Bell::new(None).with_inherited_eventfd(Some(number));
        let offered = Features::SUPPORTED.or(Features::EVENTFD);
        assert_eq!(bell.of_segment(offered).features(), Features::EVENTFD);
        assert_eq!(Bell::new(None).with_inherited_eventfd(None).features(), Features::NONE);
    }
}
