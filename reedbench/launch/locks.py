"""Advisory locks that also do where a file system has none: then there is nobody to wait for."""

import fcntl


def taken(descriptor: int) -> bool:
    """Take the lock of an open file if it is free; says whether this process has it now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # Lustre without -o flock, NFS without lockd
        return True
    return True


def wait(descriptor: int) -> None:
    """Wait for the lock of an open file."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
