//! Payload tags: what a slot carries and where its bytes are.

use core::fmt;

/// Payload tag, word 2 of a slot header. PAY-1.
///
/// An open set: any 32-bit value can be held and printed; [`Tag::form`] says whether the protocol
/// assigns it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u32);

/// Where the bytes of a payload are. PAY-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// The tag says it all; no other word counts.
    Bare,
    /// Eight bytes in words 3 (low half) and 4 (high half).
    Scalar,
    /// Word 5 bytes in the slot's inline area.
    Inline,
    /// Word 5 bytes in the arena, from the offset in word 3, in the block named by word 6.
    Arena,
    /// Two parts: word 5 bytes of header in the inline area, word 4 bytes of body in the arena.
    InlineHead,
    /// Two parts, one after the other in the arena: word 5 bytes of header, word 4 bytes of body.
    ArenaHead,
    /// Addresses of one process. Never valid in a process lane.
    Local,
}

macro_rules! tags {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $form:ident, $text:literal;)*) => {
        impl Tag {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Every assigned tag, in ascending order.
            pub const ASSIGNED: &[Self] = &[$(Self::$name),*];

            /// Where the bytes of this tag's payload are; `None` when the tag is not assigned.
            #[inline(always)]
            #[must_use]
            pub const fn form(self) -> Option<Form> {
                match self.0 {
                    $($value => Some(Form::$form),)*
                    _ => None,
                }
            }

            /// What the tag stands for, in words; `"unassigned"` when the protocol assigns nothing.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($value => $text,)*
                    _ => "unassigned",
                }
            }
        }
    };
}

tags! {
    /// Integer in the range of `i64`, two's complement.
    BIGINT_I64 = 2, Scalar, "bigint";
    /// `true`.
    TRUE = 3, Bare, "true";
    /// `false`.
    FALSE = 4, Bare, "false";
    /// `undefined`; the unit type in Rust.
    UNDEFINED = 5, Bare, "undefined";
    /// Not a number. NaN payload bits do not cross.
    NAN = 6, Bare, "NaN";
    /// Number, as the bits of an `f64`.
    NUMBER = 9, Scalar, "number";
    /// `null`.
    NULL = 10, Bare, "null";
    /// String, UTF-8, in the arena.
    STRING_ARENA = 11, Arena, "string";
    /// JSON text, UTF-8, in the arena.
    JSON_ARENA = 12, Arena, "JSON";
    /// String, UTF-8, inline.
    STRING_INLINE = 15, Inline, "string";
    /// JSON text, UTF-8, inline.
    JSON_INLINE = 16, Inline, "JSON";
    /// Bytes (`Uint8Array`) in the arena.
    BYTES_ARENA = 17, Arena, "bytes";
    /// Bytes (`Uint8Array`) inline.
    BYTES_INLINE = 18, Inline, "bytes";
    /// `Int32Array` in the arena.
    I32_ARRAY_ARENA = 19, Arena, "Int32Array";
    /// `Float64Array` in the arena.
    F64_ARRAY_ARENA = 20, Arena, "Float64Array";
    /// `BigInt64Array` in the arena.
    I64_ARRAY_ARENA = 21, Arena, "BigInt64Array";
    /// `BigUint64Array` in the arena.
    U64_ARRAY_ARENA = 22, Arena, "BigUint64Array";
    /// `DataView` in the arena.
    DATA_VIEW_ARENA = 23, Arena, "DataView";
    /// Error with its cause chain, a JSON object, always in the arena.
    ERROR = 24, Arena, "error";
    /// Date, milliseconds since 1970 as the bits of an `f64`.
    DATE = 25, Scalar, "date";
    /// Global symbol in the arena.
    SYMBOL_ARENA = 26, Arena, "symbol";
    /// Global symbol inline.
    SYMBOL_INLINE = 27, Inline, "symbol";
    /// Integer beyond `i64` in the arena: sign byte, magnitude least significant byte first.
    BIGINT_ARENA = 28, Arena, "bigint";
    /// Integer beyond `i64` inline.
    BIGINT_INLINE = 29, Inline, "bigint";
    /// `Int32Array` inline.
    I32_ARRAY_INLINE = 31, Inline, "Int32Array";
    /// `Float64Array` inline.
    F64_ARRAY_INLINE = 32, Inline, "Float64Array";
    /// `BigInt64Array` inline.
    I64_ARRAY_INLINE = 33, Inline, "BigInt64Array";
    /// `BigUint64Array` inline.
    U64_ARRAY_INLINE = 34, Inline, "BigUint64Array";
    /// `DataView` inline.
    DATA_VIEW_INLINE = 35, Inline, "DataView";
    /// `ArrayBuffer` in the arena.
    ARRAY_BUFFER_ARENA = 36, Arena, "ArrayBuffer";
    /// `ArrayBuffer` inline.
    ARRAY_BUFFER_INLINE = 37, Inline, "ArrayBuffer";
    /// Node `Buffer` in the arena.
    NODE_BUFFER_ARENA = 38, Arena, "Buffer";
    /// Node `Buffer` inline.
    NODE_BUFFER_INLINE = 39, Inline, "Buffer";
    /// Envelope: JSON header inline, body in the arena.
    ENVELOPE_JSON_INLINE = 40, InlineHead, "envelope";
    /// Envelope: JSON header and body in the arena.
    ENVELOPE_JSON_ARENA = 41, ArenaHead, "envelope";
    /// Envelope: string header inline, body in the arena.
    ENVELOPE_TEXT_INLINE = 42, InlineHead, "envelope";
    /// Envelope: string header and body in the arena.
    ENVELOPE_TEXT_ARENA = 43, ArenaHead, "envelope";
    /// External payload in the arena: JSON `[codec id, metadata]`.
    EXTERNAL_ARENA = 44, Arena, "external payload";
    /// External payload inline.
    EXTERNAL_INLINE = 45, Inline, "external payload";
    /// Shared buffer of a process, by number: eight words inline.
    SHARED_BUFFER = 46, Inline, "shared buffer";
    /// Buffer moved between threads of one process.
    BUFFER_MOVE = 47, Local, "buffer move";
    /// `SharedArrayBuffer` of one process.
    LOCAL_SHARED_BUFFER = 48, Local, "SharedArrayBuffer";
    /// Envelope: JSON header inline, external body.
    ENVELOPE_JSON_INLINE_EXTERNAL = 49, InlineHead, "envelope";
    /// Envelope: JSON header in the arena, external body.
    ENVELOPE_JSON_ARENA_EXTERNAL = 50, ArenaHead, "envelope";
    /// Envelope: string header inline, external body.
    ENVELOPE_TEXT_INLINE_EXTERNAL = 51, InlineHead, "envelope";
    /// Envelope: string header in the arena, external body.
    ENVELOPE_TEXT_ARENA_EXTERNAL = 52, ArenaHead, "envelope";
    /// Plain array of numbers, as doubles, in the arena.
    NUMBERS_ARENA = 53, Arena, "numeric array";
    /// Plain array of numbers, as doubles, inline.
    NUMBERS_INLINE = 54, Inline, "numeric array";
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({} {})", self.0, self.name())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (tag {})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unassigned_tags_have_no_form() {
        for raw in [0, 1, 7, 8, 13, 14, 30, 55, 56, 1 << 16, u32::MAX] {
            assert_eq!(Tag(raw).form(), None, "tag {raw}");
        }
        assert_eq!(Tag::ASSIGNED.len(), 55 - 7);
        assert!(Tag::ASSIGNED.is_sorted());
        assert!(Tag::ASSIGNED.iter().all(|tag| tag.form().is_some()));
    }
}
