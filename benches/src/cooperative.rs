//! Lanes whose ends trust each other: what the copies of hostile memory cost.

#![allow(unsafe_code, reason = "listed in ARCHITECTURE.md")]

use crate::Failure;
use crate::lane::{Host, Wake, Worker};
use knit_cli::floor::Peer;
use knit_proto::Layout;
use knit_ring::{Mapped, Mapping, Plain};

/// The host of a lane that was not used yet, over `memory`, which `layout` was created in and which
/// only `peer` has besides: a process of this executable that calls [`worker`].
pub(crate) fn host(
    memory: Mapped<Mapping>,
    layout: &Layout,
    peer: Peer,
) -> Result<Host<Mapped<Mapping, Plain>, Peer>, Failure> {
    // SAFETY: `assume_cooperative` requires
    // - A1: the peer is this executable, whose worker keeps to the clauses, and has the memory alone;
    // - A2: `memory` is the only handle, made by `cases::mailbox::segment`; `Host::new` makes one end
    //   of each role of the host and, as it never wakes, asks the memory for nothing else;
    // - A3: `Host` holds what `parse` has checked, in the call in which it took the message, and
    //   frees or reads it in no other way.
    let memory = unsafe { memory.assume_cooperative() };
    Host::new(&memory, layout, Wake::Never, peer)
}

/// The worker of such a lane.
pub(crate) fn worker(
    memory: Mapped<Mapping>,
    layout: &Layout,
) -> Result<Worker<Mapped<Mapping, Plain>>, Failure> {
    // SAFETY: as in `host`: the other party is the process that has started this one, whose host keeps
    // to the clauses; `memory` is the only handle in this process; the worker makes one end of each of
    // its roles, and holds what `parse` has checked, once.
    let memory = unsafe { memory.assume_cooperative() };
    Worker::new(&memory, layout, Wake::Never)
}
