//! Copies that the compiler cannot see into (x86-64): wide moves and a string instruction.
//!
//! Why they may be used on bytes that a peer writes at the same time: `SECURITY.md`, "Memory that
//! another process writes", point 3.

#![allow(unsafe_code, reason = "listed in ARCHITECTURE.md")]

/// From this many bytes on the string instruction is as fast as the moves, whatever the alignment:
/// with moves of 32 bytes (AVX), and of 16 (SSE2). Measured on Zen 5, where it needs 10 to 25 ns to
/// start, and the moves copy 1 KiB in 10 and 15 ns.
const STRING_COPY_FROM: [usize; 2] = [8 << 10, 2 << 10];

/// From this many bytes on the wider registers are worth the instruction that leaves them behind.
const AVX_FROM: usize = 256;

/// Copies `len` bytes, 64 or more, unseen by the compiler.
///
/// # Safety
///
/// W1. `len` is 64 or more.
/// W2. `len` bytes are readable from `from` on and writable from `into` on, and the two do not
///     overlap.
#[inline]
pub(super) unsafe fn wide_copy(from: *const u8, into: *mut u8, len: usize) {
    let [avx_until, sse_until] = STRING_COPY_FROM;
    // W1.
    let last = len - 64;
    let mut at = 0;
    if len >= sse_until && (len >= avx_until || !has_avx()) {
        // SAFETY: W2 as given.
        unsafe { string_copy(from, into, len) };
    } else if len >= AVX_FROM && has_avx() {
        while at < last {
            // SAFETY: the processor has AVX. W2 covers 64 bytes from `at`, which is below `len - 64`.
            unsafe { move_64_avx(from, into, at) };
            at += 64;
        }
        // SAFETY: as above; W2 covers the last 64 bytes.
        unsafe { move_64_avx(from, into, last) };
        // SAFETY: the processor has AVX. The instruction clears the upper halves of registers that
        // compiled code does not rely on: every one is named as clobbered. It touches no memory.
        unsafe {
            core::arch::asm!(
                "vzeroupper",
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                options(nomem, nostack, preserves_flags),
            );
        }
    } else {
        while at < last {
            // SAFETY: W2 covers 64 bytes from `at`, which is below `len - 64`.
            unsafe { move_64(from, into, at) };
            at += 64;
        }
        // SAFETY: W2 covers the last 64 bytes.
        unsafe { move_64(from, into, last) };
    }
}

/// Whether the processor has 32-byte moves and the system keeps their registers.
#[inline(always)]
fn has_avx() -> bool {
    #[cfg(feature = "mapped")]
    return std::arch::is_x86_feature_detected!("avx");
    #[cfg(not(feature = "mapped"))]
    return cfg!(target_feature = "avx");
}

// Functions that move some bytes through registers, `at` bytes from both pointers.
macro_rules! moves {
    ($name:ident, $($line:literal)*) => {
        /// # Safety
        ///
        /// So many bytes are readable from `from + at` on and writable from `into + at` on, and the
        /// processor has the instructions.
        #[inline(always)]
        unsafe fn $name(from: *const u8, into: *mut u8, at: usize) {
            // SAFETY: the unaligned moves read and write the bytes that the caller allows, through
            // registers that are named as clobbered. Every load comes before the first store. The
            // block has no `nomem`, so the compiler assumes that any memory may have changed.
            unsafe {
                core::arch::asm!(
                    $($line,)*
                    from = in(reg) from,
                    into = in(reg) into,
                    at = in(reg) at,
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                    options(nostack, preserves_flags),
                );
            }
        }
    };
}

moves!(
    move_64,
    "movdqu xmm0, [{from} + {at}]"
    "movdqu xmm1, [{from} + {at} + 16]"
    "movdqu xmm2, [{from} + {at} + 32]"
    "movdqu xmm3, [{from} + {at} + 48]"
    "movdqu [{into} + {at}], xmm0"
    "movdqu [{into} + {at} + 16], xmm1"
    "movdqu [{into} + {at} + 32], xmm2"
    "movdqu [{into} + {at} + 48], xmm3"
);
moves!(
    move_64_avx,
    "vmovdqu ymm0, [{from} + {at}]"
    "vmovdqu ymm1, [{from} + {at} + 32]"
    "vmovdqu [{into} + {at}], ymm0"
    "vmovdqu [{into} + {at} + 32], ymm1"
);

/// # Safety
///
/// W2 of [`wide_copy`].
#[inline]
unsafe fn string_copy(from: *const u8, into: *mut u8, len: usize) {
    // SAFETY: `rep movsb` reads `len` bytes from rsi and writes them to rdi, which the caller allows.
    // The direction flag is clear on entry of an asm block (Rust reference, inline assembly). The
    // block has no `nomem`, so the compiler assumes that any memory may have changed.
    unsafe {
        core::arch::asm!(
            "rep movsb",
            inout("rcx") len => _,
            inout("rsi") from => _,
            inout("rdi") into => _,
            options(nostack, preserves_flags),
        );
    }
}
