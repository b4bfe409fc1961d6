//! A segment in a sealed memfd.

#![allow(unsafe_code, reason = "listed in ARCHITECTURE.md")]

use super::{Backing, Mapped, ReserveError};
use core::ffi::CStr;
use core::ptr::NonNull;
use knit_proto::Span;
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{FallocateFlags, FileType, MemfdFlags, Mode, SealFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

/// A whole memfd, mapped readable and writable, whose length nobody can change any more; or, where
/// [`Mapping::attach_unsealed`] made it, the start of a file whose owner still can.
#[derive(Debug)]
pub struct Mapping {
    map: MmapRaw,
    /// Keeps the file open: its seals hold for as long as the file exists.
    file: OwnedFd,
}

impl Mapping {
    /// What keeps the pages under the mapping: no shrinking, no growing, no more sealing.
    const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

    /// A new sealed memfd of `len` zero bytes, without memory behind it yet, mapped. The descriptor
    /// is close-on-exec, and only this user may open the file again through `/proc`.
    ///
    /// # Errors
    ///
    /// The system refused a descriptor, the length, the seals or the mapping.
    pub fn create(len: u32) -> Result<Mapped<Self>, MemfdError> {
        Self::create_named(c"knit-lane", len)
    }

    /// As [`Self::create`], with a name that `/proc` shows and nothing depends on.
    ///
    /// # Errors
    ///
    /// As [`Self::create`].
    pub fn create_named(name: &CStr, len: u32) -> Result<Mapped<Self>, MemfdError> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Never executable; kernels before 6.3 do not know the flag.
        let file = rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL)
            .or_else(|_| rustix::fs::memfd_create(name, flags))
            .map_err(|errno| MemfdError::system("create a memfd", errno))?;
        // The kernel gives it to everybody: who was passed a read-only descriptor could open it for writing.
        rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| MemfdError::system("keep the memfd from other users", errno))?;
        rustix::fs::ftruncate(&file, len.into())
            .map_err(|errno| MemfdError::system("set the length of the memfd", errno))?;
        rustix::fs::fcntl_add_seals(&file, Self::SEALS)
            .map_err(|errno| MemfdError::system("seal the memfd", errno))?;
        Self::attach(file)
    }

    /// Maps all of a memfd that somebody else made. Its length is what the kernel says, never what
    /// its content says.
    ///
    /// # Errors
    ///
    /// [`MemfdError::NotSealed`] when the file is no memfd or can still shrink or grow: its owner
    /// could take pages away under the mapping. [`MemfdError::HugePages`] when its pages are huge: the
    /// system can run out of those, and then an access would fault. [`MemfdError::Length`] when it is empty or larger
    /// than 4 GiB. Otherwise what the system refused.
    pub fn attach(file: OwnedFd) -> Result<Mapped<Self>, MemfdError> {
        let seals = match rustix::fs::fcntl_get_seals(&file) {
            Ok(seals) => seals,
            // Files other than memfds have no seals.
            Err(Errno::INVAL) => SealFlags::empty(),
            Err(errno) => return Err(MemfdError::system("read the seals", errno)),
        };
        if !seals.contains(Self::SEALS) {
            return Err(MemfdError::NotSealed { found: seals.bits(), wanted: Self::SEALS.bits() });
        }
        let system = rustix::fs::fstatfs(&file)
            .map_err(|errno| MemfdError::system("look at the memfd's file system", errno))?;
        if system.f_type != TMPFS_MAGIC {
            return Err(MemfdError::HugePages);
        }
        let stat = rustix::fs::fstat(&file)
            .map_err(|errno| MemfdError::system("read the length of the memfd", errno))?;
        let len = match u32::try_from(stat.st_size) {
            Ok(len) if len > 0 => len,
            _ => return Err(MemfdError::Length { bytes: stat.st_size }),
        };
        let map = MmapOptions::new()
            .len(len as usize)
            .map_raw(&file)
            .map_err(|error| MemfdError::Map { kind: error.kind() })?;
        Ok(Mapped::new(Self { map, file }))
    }

    /// The memfd, to be inherited by or sent to the other party.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// `f_type` of a memfd with pages of the usual size (`linux/magic.h`).
const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;

/// A duplicate of a descriptor that this process has inherited, close-on-exec. The inherited one becomes
/// close-on-exec too; it stays open, so that whoever else may hold it is not disturbed.
///
/// # Errors
///
/// Nothing is open under this number.
pub fn inherited_descriptor(number: RawFd) -> Result<OwnedFd, Errno> {
    if number < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: `borrow_raw` requires that the number is not -1, as just checked, and that the descriptor
    // stays open while it is borrowed. It is borrowed for the two system calls below only, which
    // say `EBADF` when nothing is open; neither of them reads, writes or closes it, so that even a
    // descriptor that somebody opens or closes meanwhile comes to no harm.
    let inherited = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(inherited, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::fcntl_dupfd_cloexec(inherited, 0)
}

// SAFETY: M1: `MmapRaw` unmaps on drop only, its address and length are fixed, pages are aligned to
// more than 64, and the seals checked in `attach` mean that the file never gets shorter than the
// mapping; after `attach_unsealed` it may, and an access beyond its end ends the process. M2: `MmapRaw` gives out pointers only, and this type gives them to `Backing::base` only.
unsafe impl Backing for Mapping {
    fn base(&self) -> NonNull<u8> {
        NonNull::new(self.map.as_mut_ptr()).expect("a mapping is never at address 0")
    }

    fn len(&self) -> u32 {
        // Checked in `attach`, given as 32 bits to `attach_unsealed`.
        self.map.len() as u32
    }

    fn reserve(&self, span: Span) -> Result<(), ReserveError> {
        if span.is_empty() {
            return Ok(());
        }
        let (at, len) = (span.at().into(), span.len().into());
        loop {
            match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), at, len) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => {
                    return Err(ReserveError::NoMemory {
                        bytes: span.len(),
                        errno: errno.raw_os_error(),
                    });
                }
            }
        }
    }
}

impl Mapping {
    /// Maps the first `len` bytes of a file that is not sealed: Knitting hosts seal none of theirs.
    ///
    /// # Security
    ///
    /// Whoever can truncate the file can end this process: an access beyond the new end raises
    /// `SIGBUS`. It can do nothing else with that, and every access before the end is as safe as in a
    /// sealed file. Map what a host made in a process that serves this host alone.
    ///
    /// # Errors
    ///
    /// [`MemfdError::NoMemory`] when it is no file of bytes; [`MemfdError::Short`] when it has fewer
    /// than `len` bytes, or `len` is none. Otherwise what the system refused.
    pub fn attach_unsealed(file: OwnedFd, len: u32) -> Result<Mapped<Self>, MemfdError> {
        let stat = rustix::fs::fstat(&file)
            .map_err(|errno| MemfdError::system("read the length of the shared memory", errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(MemfdError::NoMemory);
        }
        if len == 0 || stat.st_size < i64::from(len) {
            return Err(MemfdError::Short { bytes: stat.st_size, len });
        }
        // Without seals M1 of `Backing` rests on its last sentence.
        let map = MmapOptions::new()
            .len(len as usize)
            .map_raw(&file)
            .map_err(|error| MemfdError::Map { kind: error.kind() })?;
        Ok(Mapped::new(Self { map, file }))
    }
}

/// Why a memfd could not be made or is not safe to map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemfdError {
    /// The file can still change its length.
    #[error(
        "the segment's file is not sealed against shrinking and growing (seals {found:#x}, \
         expected {wanted:#x}): its owner could take the memory away"
    )]
    NotSealed {
        /// Seals of the file.
        found: u32,
        /// Seals that it needs.
        wanted: u32,
    },
    /// The file has pages of another size than usual.
    #[error("the segment's file has huge pages, of which the system can run out")]
    HugePages,
    /// No segment has this length.
    #[error("the segment's file has {bytes} bytes, expected 1 to {}", u32::MAX)]
    Length {
        /// The length of the file.
        bytes: i64,
    },
    /// The descriptor is of something else than memory.
    #[error("the descriptor is no shared memory, but a pipe, a socket, a device or a directory")]
    NoMemory,
    /// The file is shorter than it should be.
    #[error("the shared memory has {bytes} bytes, {len} were announced")]
    Short {
        /// The length of the file.
        bytes: i64,
        /// What it should have at least.
        len: u32,
    },
    /// The file could not be mapped.
    #[error("cannot map the segment: {kind}")]
    Map {
        /// What the system said.
        kind: std::io::ErrorKind,
    },
    /// Another system call failed.
    #[error("cannot {action} (os error {errno})")]
    System {
        /// What was tried.
        action: &'static str,
        /// Error number.
        errno: i32,
    },
}

impl MemfdError {
    fn system(action: &'static str, errno: Errno) -> Self {
        Self::System { action, errno: errno.raw_os_error() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SharedMemory, SharedWord};
    use knit_proto::WordOffset;

    fn memfd() -> OwnedFd {
        rustix::fs::memfd_create(c"test", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).unwrap()
    }

    #[test]
    fn two_mappings_of_one_memfd_share_their_words() {
        let ours = Mapping::create(8192).unwrap();
        let file = ours.backing().file().try_clone_to_owned().unwrap();
        let theirs = Mapping::attach(file).unwrap();
        let at = WordOffset::new(4096).unwrap();
        ours.word(at).unwrap().store_release(7);
        assert_eq!(theirs.word(at).unwrap().load_acquire(), 7);
        assert_eq!(theirs.len(), 8192);
    }

    /// SEG-23.
    #[test]
    fn the_length_cannot_change_after_creation() {
        let memory = Mapping::create(4096).unwrap();
        let file = memory.backing().file();
        assert_eq!(rustix::fs::ftruncate(file, 0), Err(Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(file, 8192), Err(Errno::PERM));
    }

    /// SEG-24.
    #[test]
    fn unsealed_and_foreign_files_are_refused() {
        let file = memfd();
        rustix::fs::ftruncate(&file, 4096).unwrap();
        assert!(matches!(Mapping::attach(file), Err(MemfdError::NotSealed { found: 0, .. })));
        let null = std::fs::File::open("/dev/null").unwrap();
        assert!(matches!(Mapping::attach(null.into()), Err(MemfdError::NotSealed { .. })));
    }

    #[test]
    fn huge_pages_are_refused() {
        let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC | MemfdFlags::HUGETLB;
        // A system without huge pages makes none.
        let Ok(file) = rustix::fs::memfd_create(c"test", flags) else { return };
        rustix::fs::fcntl_add_seals(&file, Mapping::SEALS).unwrap();
        assert_eq!(Mapping::attach(file).unwrap_err(), MemfdError::HugePages);
    }

    #[test]
    fn an_inherited_descriptor_is_duplicated_and_stays_open() {
        use std::os::fd::AsRawFd;
        let file = rustix::fs::memfd_create(c"test", MemfdFlags::empty()).unwrap();
        let copy = inherited_descriptor(file.as_raw_fd()).unwrap();
        for file in [&file, &copy] {
            assert_eq!(rustix::io::fcntl_getfd(file), Ok(rustix::io::FdFlags::CLOEXEC));
        }
        assert_eq!(inherited_descriptor(-1).unwrap_err(), Errno::BADF);
        assert_eq!(inherited_descriptor(RawFd::MAX).unwrap_err(), Errno::BADF);
    }

    #[test]
    fn an_unsealed_file_is_mapped_as_far_as_asked_for_and_not_beyond_its_end() {
        let file = memfd();
        rustix::fs::ftruncate(&file, 8192).unwrap();
        let again = || file.try_clone().unwrap();
        assert_eq!(Mapping::attach_unsealed(again(), 4096).unwrap().len(), 4096);
        let (bytes, len) = (8192, 8193);
        assert_eq!(
            Mapping::attach_unsealed(again(), len).unwrap_err(),
            MemfdError::Short { bytes, len }
        );
        assert!(matches!(Mapping::attach_unsealed(again(), 0), Err(MemfdError::Short { .. })));
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(Mapping::attach_unsealed(null.into(), 64).unwrap_err(), MemfdError::NoMemory);
    }

    #[test]
    fn an_empty_memfd_is_refused() {
        let file = memfd();
        rustix::fs::fcntl_add_seals(&file, Mapping::SEALS).unwrap();
        assert_eq!(Mapping::attach(file).unwrap_err(), MemfdError::Length { bytes: 0 });
    }

    #[test]
    fn reserve_puts_memory_behind_a_span_and_no_more() {
        let memory = Mapping::create(1 << 20).unwrap();
        let blocks = || rustix::fs::fstat(memory.backing().file()).unwrap().st_blocks * 512;
        assert_eq!(blocks(), 0);
        memory.reserve(Span::new(4096, 65_536).unwrap()).unwrap();
        assert_eq!(blocks(), 65_536);
        assert!(memory.reserve(Span::new(1 << 20, 4096).unwrap()).is_err());
    }
}
