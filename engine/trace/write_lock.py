"""The lock of whoever writes a trace, or the record of rounds, also on a file system that has no locks."""

from __future__ import annotations

import errno
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from engine.base.errors import InputError, WorkFailed, unusable
from engine.base.untrusted_files import read_text

if sys.platform != "win32":
    import fcntl

_LONGEST = 4096  # bytes of a lock that names its holder
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


def lock_path(path: str | os.PathLike[str]) -> str:
    """Returns the lock file of a trace."""
    return f"{os.fspath(path)}.lock"


def held(lock_file: str, seconds: float) -> BaseFileLock:
    """Returns a lock that this process holds now. Raises `filelock.Timeout` where another one does, and `OSError`.

    On a file system without locks (Lustre as many clusters mount it, NFS without its lock server) the file itself is
    the lock: it names a process and its machine. One of a process that is gone from this machine does not count.

    `lock_file`: made where it is missing. `seconds`: how long to wait for another process.
    """
    lock: BaseFileLock = FileLock(lock_file, thread_local=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # filelock says on standard error that there are no locks
        try:
            lock.acquire(timeout=seconds, poll_interval=0.02)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            with suppress(OSError):
                if not os.stat(lock_file).st_size:  # the attempt made it: in a lock stands who holds it
                    os.unlink(lock_file)
            lock = SoftFileLock(lock_file, thread_local=False)
            lock.acquire(timeout=seconds, poll_interval=0.02)
    return lock


@contextmanager
def alone(lock_file: Path, busy: str, seconds: float = 60.0) -> Iterator[None]:
    """Within it no other process is within it, for the same lock file, which is gone afterwards. Raises `WorkFailed`
    where another one stays too long, and `InputError`.

    `lock_file`: made with its folder. `busy`: what the other one does. `seconds`: how long to wait for it.
    """
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = held(str(lock_file), seconds)
    except Timeout:
        told = f"{lock_file.parent}: {busy}{_told(lock_file)}: the same command again, once it is done"
        raise WorkFailed(told) from None
    except OSError as error:
        raise unusable(lock_file.parent, error) from error
    try:
        yield
    finally:
        with suppress(OSError):
            if sys.platform != "win32":  # while it is held, so that nobody else loses a lock of that name
                lock_file.unlink()
        let_go(lock)


def let_go(lock: BaseFileLock) -> None:
    """Give a lock back. Never raises: it ends with the process at the latest."""
    with suppress(OSError):
        lock.release()


def is_held(lock_file: str) -> bool:
    """Whether a process holds a lock."""
    if sys.platform == "win32":
        try:
            with FileLock(lock_file).acquire(timeout=0) if os.path.exists(lock_file) else nullcontext():
                return False
        except (Timeout, OSError):
            return True
    try:
        fd = os.open(lock_file, os.O_RDONLY | os.O_NONBLOCK)  # of someone else's trace as well; a pipe would wait
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _NO_LOCKS or not _is_gone(_named_in(lock_file))
    finally:
        os.close(fd)
    return False


def _named_in(lock_file: str | Path) -> tuple[str, str]:
    """The process and the machine that a lock names that is a file; empty for any other."""
    with suppress(InputError, ValueError):
        process, machine = read_text(lock_file, _LONGEST).split()[:2]
        return process, machine
    return "", ""


def _is_gone(holder: tuple[str, str]) -> bool:
    """Whether a process ran on this machine and does no more."""
    process, machine = holder
    if machine != socket.gethostname() or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it is somebody else's
        return False
    return False


def holder(path: str | os.PathLike[str]) -> str:
    """What a lock that is a file says of who holds a trace, in brackets; "" for any other."""
    return _told(Path(lock_path(path)))


def _told(lock_file: Path) -> str:
    process, machine = _named_in(lock_file)
    return f" (process {process} on {machine}; if that is gone, remove {lock_file})" if machine else ""
