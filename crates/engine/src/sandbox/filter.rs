//! Which system calls an action does not get: keyrings, which belong to the user and not to a
//! namespace, and what a build has no use for and that has often been the way into a kernel.

use libc::sock_filter;

/// An architecture (AUDIT_ARCH_* of linux/audit.h) and the numbers of what is refused on it:
/// add_key, request_key, keyctl, bpf, perf_event_open, userfaultfd, kexec_load and
/// open_by_handle_at.
type Refused = (u32, [u32; 8]);

/// A processor runs the programs of its 32-bit predecessor too.
#[cfg(target_arch = "x86_64")]
const REFUSED: [Refused; 2] = [
    (0xc000_003e, [248, 249, 250, 321, 298, 323, 246, 304]),
    (0x4000_0003, [286, 287, 288, 357, 336, 374, 283, 342]),
];
#[cfg(target_arch = "aarch64")]
const REFUSED: [Refused; 2] = [
    (0xc000_00b7, [217, 218, 219, 280, 241, 282, 104, 265]),
    (0x4000_0028, [309, 310, 311, 386, 364, 388, 347, 371]),
];
/// The numbers of other architectures are not known here.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const REFUSED: [Refused; 0] = [];

/// The second interface of x86-64 has the numbers of the first, and this bit.
const X32: u32 = 0x4000_0000;

/// A program for the kernel's packet filter, as seccomp(2) runs it on each call. Empty where
/// nothing is refused.
pub(super) fn program() -> Vec<sock_filter> {
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const AND: u16 = 0x54;
    const RETURN: u16 = 0x06;
    // Where struct seccomp_data has them.
    const NUMBER: u32 = 0;
    const ARCHITECTURE: u32 = 4;
    let step = |code, jump_true, jump_false, value| sock_filter {
        code,
        jt: jump_true,
        jf: jump_false,
        k: value,
    };
    let not_there = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let mut program = Vec::new();
    for (architecture, numbers) in REFUSED {
        // A refusal takes two steps, loading three, and being done one.
        let length = u8::try_from(numbers.len() * 2 + 3).unwrap_or(u8::MAX);
        program.push(step(LOAD, 0, 0, ARCHITECTURE));
        program.push(step(JUMP_IF_EQUAL, 0, length, architecture));
        program.push(step(LOAD, 0, 0, NUMBER));
        program.push(step(AND, 0, 0, !X32));
        for number in numbers {
            program.push(step(JUMP_IF_EQUAL, 0, 1, number));
            program.push(step(RETURN, 0, 0, not_there));
        }
        program.push(step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    }
    if !program.is_empty() {
        // An architecture that is not known is none that this processor runs.
        program.push(step(RETURN, 0, 0, not_there));
    }
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn the_numbers_are_those_of_this_architecture() {
        let own = [
            libc::SYS_add_key,
            libc::SYS_request_key,
            libc::SYS_keyctl,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_userfaultfd,
            libc::SYS_kexec_load,
            libc::SYS_open_by_handle_at,
        ];
        assert_eq!(REFUSED[0].1.map(i64::from), own);
    }
}
