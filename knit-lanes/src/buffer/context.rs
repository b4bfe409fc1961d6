//! Which buffers the value means that a thread is just encoding or decoding.
//!
//! `Encode` and `Decode` see a payload and nothing else: a payload says a number. While a pool or a
//! worker encodes, the buffers that values name are kept here, so that the memory behind the number lives
//! until the payload is with the other side; while it decodes, the one buffer that the lane has found for
//! the number in the payload is here. Everything is of this thread and ends with the scope.

use super::Object;
use core::cell::{Cell, RefCell};
use knit_codec::{Payload, SharedBufferRef};
use std::sync::Arc;

/// A buffer, and the number that a payload calls it by.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    pub(super) number: u32,
    pub(super) object: Arc<Object>,
}

/// A payload, and the memory of the buffer that it names, if it names one that is known.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) payload: Payload<'static>,
    pub(crate) buffer: Option<Box<Buffer>>,
}

impl From<Payload<'static>> for Parcel {
    fn from(payload: Payload<'static>) -> Self {
        Self { payload, buffer: None }
    }
}

// What a thread is at. A scope in which no buffer is named costs a few loads and stores.
thread_local! {
    /// How many encoding scopes are open.
    static ENCODING: Cell<u32> = const { Cell::new(0) };
    /// Whether `KEPT` holds anything.
    static HAS_KEPT: Cell<bool> = const { Cell::new(false) };
    /// What values of this thread have named since its first encoding scope began, in scopes that have not ended.
    static KEPT: RefCell<Vec<Arc<Object>>> = const { RefCell::new(Vec::new()) };
    /// The buffer of the payload that this thread is decoding.
    static RECEIVED: RefCell<Option<Box<Buffer>>> = const { RefCell::new(None) };
}

/// Ends a scope, also when it unwinds: what was kept in it is forgotten, not what was kept before.
struct Encoding {
    /// How many buffers were kept when it began.
    before: usize,
}

impl Encoding {
    #[inline]
    fn begin() -> Self {
        ENCODING.set(ENCODING.get() + 1);
        Self { before: if HAS_KEPT.get() { count_kept() } else { 0 } }
    }
}

impl Drop for Encoding {
    #[inline]
    fn drop(&mut self) {
        ENCODING.set(ENCODING.get() - 1);
        if HAS_KEPT.get() {
            forget_kept(self.before);
        }
    }
}

#[cold]
fn count_kept() -> usize {
    KEPT.with_borrow(Vec::len)
}

#[cold]
fn forget_kept(before: usize) {
    let forgotten = KEPT.with_borrow_mut(|kept| {
        HAS_KEPT.set(before > 0);
        // Whole where it can be: the memory of the list is not kept for the next scope.
        if before == 0 { core::mem::take(kept) } else { kept.split_off(before) }
    });
    // Outside of the borrow: the last handle of a buffer may be among them.
    drop(forgotten);
}

/// Encodes a value. The buffer that it names comes along.
#[inline]
pub(crate) fn encoding<E>(
    encode: impl FnOnce() -> Result<Payload<'static>, E>,
) -> Result<Parcel, E> {
    let scope = Encoding::begin();
    let payload = encode()?;
    let buffer = if HAS_KEPT.get() { kept(&payload) } else { None };
    drop(scope);
    Ok(Parcel { payload, buffer })
}

/// The kept buffer that a payload names.
#[cold]
fn kept(payload: &Payload<'_>) -> Option<Box<Buffer>> {
    let number = SharedBufferRef::named_by(payload)?.number;
    KEPT.with_borrow(|kept| {
        let object = kept.iter().rfind(|object| object.number == number)?;
        Some(Box::new(Buffer::from(object)))
    })
}

/// Decodes a value whose payload names `buffer`.
#[inline]
pub(crate) fn decoding<R>(buffer: Option<Box<Buffer>>, decode: impl FnOnce() -> R) -> R {
    let Some(buffer) = buffer else { return decode() };
    decoding_one(buffer, decode)
}

#[cold]
fn decoding_one<R>(buffer: Box<Buffer>, decode: impl FnOnce() -> R) -> R {
    /// Puts back what the scope found, also when it unwinds.
    struct Scope(Option<Box<Buffer>>);
    impl Drop for Scope {
        fn drop(&mut self) {
            drop(RECEIVED.replace(self.0.take()));
        }
    }
    let _scope = Scope(RECEIVED.replace(Some(buffer)));
    decode()
}

/// Notes that a value which is being encoded names `object`.
pub(super) fn keep(object: &Arc<Object>) {
    if ENCODING.get() > 0 {
        HAS_KEPT.set(true);
        KEPT.with_borrow_mut(|kept| kept.push(Arc::clone(object)));
    }
}

/// The buffer of this number, if the payload that is being decoded names it.
pub(super) fn received(number: u32) -> Option<Arc<Object>> {
    RECEIVED.with_borrow(|buffer| {
        let buffer = buffer.as_ref().filter(|buffer| buffer.number == number)?;
        Some(Arc::clone(&buffer.object))
    })
}
