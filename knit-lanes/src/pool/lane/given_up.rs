//! Calls that end before their answer has come: aborted, or out of time.

use super::{Core, Lane, Phase};
use crate::CallId;
use crate::error::CallError;
use crate::pool::call::{CallState, Wakes};
use crate::pool::shared::Shared;
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
        let mut core = self.lock();
        let Some(id) = core.id_of(call) else { return false };
        if let Phase::Open(host) = &mut core.phase {
            host.abort(id);
        }
        call.complete(Err(Box::new(error)), &mut wakes);
        drop(core);
        shared.wake(wakes);
        true
    }

    /// Kills a worker that still has this call, which was given up long ago.
    pub(in crate::pool) fn kill_if_it_has(&self, shared: &Shared, call: &Arc<CallState>) {
        // The answer may be there and nobody has looked.
        self.poll(shared);
        let core = self.lock();
        if core.id_of(call).is_some() {
            tracing::warn!(target: "lifecycle", lane = self.index, "worker ignores an abort: killed");
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
