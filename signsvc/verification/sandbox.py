"""What the kernel takes from a worker: the network, other processes, and files that are not its business.

Parsers run under these rules so that a document that takes one over finds nothing there: no sockets, no programs to
start, no PIN file to read.  Where the kernel or a container refuses to set a rule, the others hold; the limits of
`signsvc.verification.worker` hold everywhere.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_NO_NEW_PRIVILEGES, _SET_SECCOMP = 38, 22
_FILTER_MODE = 2

# Names of system calls -> their numbers on x86_64 and aarch64.
_REFUSED: dict[str, tuple[int, int]] = {
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "open_by_handle_at": (304, 265),
}
# Allowed for this process alone, by their first argument.
_OWN: dict[str, tuple[int, int]] = {"kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131)}
_LIMITS = (302, 261)  # prlimit64: 0 stands for the caller
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # EPERM

# Landlock: system calls (the same everywhere) and rights.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_OF_FILES = _EXECUTE | 1 << 1 | _READ_FILE | 1 << 14  # execute, write, read, truncate
# The rights that the kernel's version 1, 2, 3 and 5 of the interface know.
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc/localtime", "/etc/ld.so.cache", "/etc/ssl/openssl.cnf")


def refuse_calls() -> bool:
    """No sockets, no programs, no hold on other processes, from here on (seccomp).  Whether the kernel agreed."""
    found = _ARCHITECTURES.get(platform.machine())
    if found is None or not sys.platform.startswith("linux"):
        return False
    index, architecture = found
    program = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _REFUSE), (_LOAD, 0, 0, 0)]
    if index == 0:  # the same numbers once more, for 32-bit pointers
        program += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _REFUSE)]
    for numbers in _REFUSED.values():
        program += [(_EQUAL, 0, 1, numbers[index]), (_RETURN, 0, 0, _REFUSE)]
    for numbers, whom in (*((n, os.getpid()) for n in _OWN.values()), (_LIMITS, 0)):
        program += [(_EQUAL, 0, 4, numbers[index]), (_LOAD, 0, 0, 16), (_EQUAL, 1, 0, whom)]
        program += [(_RETURN, 0, 0, _REFUSE), (_LOAD, 0, 0, 0)]
    program.append((_RETURN, 0, 0, _ALLOW))
    octets = b"".join(struct.pack("=HBBI", *step) for step in program)
    code = ctypes.create_string_buffer(octets, len(octets))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return int(libc.prctl(_SET_SECCOMP, _FILTER_MODE, header, 0, 0)) == 0


def refuse_files(readable: Iterable[Path], writable: Iterable[Path] = ()) -> bool:
    """No files but the interpreter's, the system's libraries and those beneath `readable` and `writable`, from here
    on (Landlock).  Whether the kernel agreed.  A directory that does not exist yet stays out of reach."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    every = _RIGHTS[min(version, 5)]
    # From version 4 on TCP is refused as well, from 6 on abstract sockets and signals to others.
    given = struct.pack("=QQQ", every, 3, 3)[: 8 if version < 4 else 16 if version < 6 else 24]
    rules = libc.syscall(_CREATE, given, ctypes.c_size_t(len(given)), ctypes.c_uint32(0))
    if rules < 0:
        return False
    look = _EXECUTE | _READ_FILE | _READ_DIR
    own: tuple[str | Path, ...] = (sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path, Path(__file__).parents[1])
    try:
        for path in (*_SYSTEM, *own, *readable):
            _permit(libc, rules, path, look)
        for path in _DEVICES:
            _permit(libc, rules, path, look | 1 << 1)
        for path in writable:
            _permit(libc, rules, path, every)
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return int(libc.syscall(_RESTRICT, rules, ctypes.c_uint32(0))) == 0
    finally:
        os.close(rules)


def _permit(libc: ctypes.CDLL, rules: int, path: str | Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - a text or a path
            rights &= _OF_FILES
        libc.syscall(_ADD, rules, 1, struct.pack("=Qi", rights, place), ctypes.c_uint32(0))
    finally:
        os.close(place)
