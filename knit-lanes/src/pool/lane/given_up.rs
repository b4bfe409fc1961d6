//! Calls that end before their answer has come: aborted, or out of time.

use super::{Core, Lane, Phase};
use crate::CallId;
use crate::debug::say;
use crate::error::CallError;
use crate::pool::call::{CallState, Wakes};
use crate::pool::shared::Shared;
use knit_ring::{Doorbell, FutexBell};
use std::sync::Arc;

impl Lane {
    /// Ends a call that is with the worker, which is told that nobody wants the answer. False when
    /// the worker does not have the call.
    pub(in crate::pool) fn give_up_call(
        &self,
        shared: &Shared,
        call: &Arc<CallState>,
        error: CallError,
    ) -> bool {
        let mut wakes = Wakes::default();
        let mut guard = self.lock();
        let core = &mut *guard;
        let Some(id) = core.id_of(call) else { return false };
        let mut told = false;
        if let Phase::Open(host) = &mut core.phase {
            told = host.abort(id);
            // A worker that sleeps until a future of its own is woken does not look at signals meanwhile.
            if host.notify() {
                FutexBell.wake(host.bell());
                core.counts.woke(self.index);
            }
        }
        core.counts.gave_up(self.index, call, &error, told);
        call.complete(Err(Box::new(error)), &mut wakes);
        drop(guard);
        shared.wake(wakes);
        true
    }

    /// Kills a worker that still has this call, which was given up long ago.
    pub(in crate::pool) fn kill_if_it_has(&self, shared: &Shared, call: &Arc<CallState>) {
        // The answer may be there and nobody has looked.
        self.poll(shared);
        let core = self.lock();
        if core.id_of(call).is_some() {
            say!(WARN, LIFECYCLE, "worker ignores an abort and is killed", lane = self.index);
            core.kill();
        }
    }
}

impl Core {
    fn id_of(&self, call: &Arc<CallState>) -> Option<CallId> {
        let mut with_worker = self.calls.iter().flatten();
        with_worker.find(|with| Arc::ptr_eq(&with.call, call)).map(|with| with.id)
    }
}
