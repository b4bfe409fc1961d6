//! The ways between processes.

pub mod iceoryx;
pub mod ipc;
pub mod shmem;
pub mod slots;
pub mod stream;
pub mod streams;
