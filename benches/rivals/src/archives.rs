//! `rkyv`: values are validated and then read where they lie, or copied out. The samples again as types
//! that it derives for.

use knit_benches::samples;
use rkyv::api::high::{HighDeserializer, HighSerializer, HighValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::Error;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Portable, Serialize};

/// What can be archived into a buffer that is used again.
pub trait Archives: for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, Error>> {}

impl<T> Archives for T where T: for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, Error>>
{}

/// [`samples::Item`].
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
pub struct Item {
    id: u64,
    name: String,
    tags: Vec<String>,
    score: f64,
    active: bool,
    note: Option<String>,
}

/// [`samples::Fault`].
#[derive(Clone, Debug, PartialEq, Archive, Serialize, Deserialize)]
#[rkyv(
    serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator, __S::Error: rkyv::rancor::Source),
    deserialize_bounds(__D::Error: rkyv::rancor::Source),
    bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source))
)]
pub struct Fault {
    name: String,
    message: String,
    stack: String,
    #[rkyv(omit_bounds)]
    cause: Option<Box<Fault>>,
}

/// Archives `value` in place of what `buffer` held; its room is kept.
///
/// # Panics
///
/// It cannot be archived.
pub fn encode<T: Archives>(value: &T, buffer: &mut AlignedVec) {
    buffer.clear();
    let taken = std::mem::take(buffer);
    *buffer = rkyv::api::high::to_bytes_in::<_, Error>(value, taken).expect("it can be archived");
}

/// The archived value in `bytes`, validated.
///
/// # Panics
///
/// It is not valid.
pub fn access<A>(bytes: &[u8]) -> &A
where
    A: Portable + for<'a> CheckBytes<HighValidator<'a, Error>>,
{
    rkyv::access::<A, Error>(bytes).expect("it was archived")
}

/// The value in `bytes`, validated and copied out.
///
/// # Panics
///
/// It is not valid.
pub fn decode<T>(bytes: &[u8]) -> T
where
    T: Archive,
    T::Archived:
        for<'a> CheckBytes<HighValidator<'a, Error>> + Deserialize<T, HighDeserializer<Error>>,
{
    rkyv::from_bytes::<T, Error>(bytes).expect("it was archived")
}

impl From<&samples::Item> for Item {
    fn from(item: &samples::Item) -> Self {
        let samples::Item { id, name, tags, score, active, note } = item.clone();
        Self { id, name, tags, score, active, note }
    }
}

impl From<&samples::Fault> for Fault {
    fn from(fault: &samples::Fault) -> Self {
        let samples::Fault { name, message, stack, cause } = fault.clone();
        let cause = cause.map(|cause| Box::new(Self::from(&*cause)));
        Self { name, message, stack, cause }
    }
}

impl PartialEq<Item> for ArchivedItem {
    fn eq(&self, item: &Item) -> bool {
        self.id == item.id
            && self.name == item.name
            && self.tags.iter().eq(item.tags.iter())
            && self.score == item.score
            && self.active == item.active
            && self.note.as_ref().map(|note| note.as_str()) == item.note.as_deref()
    }
}

impl PartialEq<Fault> for ArchivedFault {
    fn eq(&self, fault: &Fault) -> bool {
        let cause = match (self.cause.as_ref(), fault.cause.as_deref()) {
            (Some(one), Some(other)) => **one == *other,
            (None, None) => true,
            _ => false,
        };
        cause
            && self.name == fault.name
            && self.message == fault.message
            && self.stack == fault.stack
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archived_values_are_compared_whole() {
        let archived = |value: &Fault| {
            let mut buffer = AlignedVec::new();
            encode(value, &mut buffer);
            buffer
        };
        let (one, other) = (Fault::from(&samples::fault(3)), Fault::from(&samples::fault(2)));
        assert!(*access::<ArchivedFault>(&archived(&one)) == one);
        assert!(*access::<ArchivedFault>(&archived(&other)) != one);
        assert_eq!(decode::<Fault>(&archived(&one)), one);

        let item = Item::from(&samples::documents(1)[0]);
        let mut buffer = AlignedVec::new();
        encode(&item, &mut buffer);
        assert!(*access::<ArchivedItem>(&buffer) == item);
        assert!(*access::<ArchivedItem>(&buffer) != Item { note: None, ..item });
    }
}
