"""One policy where a file system has no locks: go on, and say so once."""

import errno
import fcntl
import os

import pytest

from reedbench.core import locks
from reedbench.core.errors import RunAgain
from reedbench.launch.ticket import Desk
from reedbench.training.checkpoint import Store


@pytest.fixture
def without_locks(monkeypatch):
    """Every lock is refused, as Lustre without -o flock and NFS without lockd do it."""

    def refuse(number):
        def flock(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", flock)
        monkeypatch.setattr(locks, "_said", False)

    return refuse


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_training_and_launching_go_on_without_locks_and_say_so_once(without_locks, tmp_path, capfd, number):
    without_locks(number)
    store = Store(tmp_path / "store")
    with store.locked(), Desk(tmp_path / "desk").held() as waited:
        assert not waited
        assert not locks.held(store.lock)
    assert capfd.readouterr().err.count("its file system has no locks") == 1


def test_another_fault_of_a_lock_is_no_missing_lock(without_locks, tmp_path):
    without_locks(errno.EIO)
    with pytest.raises(OSError, match="Input/output"), Store(tmp_path).locked():
        pass


def test_a_lock_that_somebody_has_is_taken(tmp_path):
    store = Store(tmp_path)
    with store.locked():
        assert locks.held(store.lock)
        with pytest.raises(RunAgain, match="another process trains this run"), Store(tmp_path).locked():
            pass
    assert not locks.held(store.lock)
    assert not locks.held(tmp_path / "absent")
