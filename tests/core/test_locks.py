"""One policy where a file system has no locks: go on, and say so once."""

import errno
import fcntl
import os
import threading

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


def test_one_is_alone_while_the_other_waits_and_nothing_is_left(tmp_path):
    path, order, waits = tmp_path / "new" / ".lock", [], threading.Event()

    def second():
        with locks.alone(path, waits.set):
            order.append("second")

    other = threading.Thread(target=second)
    with locks.alone(path, pytest.fail):
        other.start()
        assert waits.wait(30)
        order.append("first")
    other.join(30)
    assert order == ["first", "second"]
    assert not path.exists()


def test_an_error_inside_is_nobodys_but_the_callers(tmp_path):
    path = tmp_path / ".lock"
    with pytest.raises(FileNotFoundError, match="elsewhere"), locks.alone(path, pytest.fail):
        raise FileNotFoundError("elsewhere")
    assert not path.exists()


def test_whoever_opened_a_lock_that_is_gone_by_now_looks_again(tmp_path, monkeypatch):
    """Between its opening and its locking the holder before removes the file, and a third process makes a new one."""
    path, taken, seen = tmp_path / ".lock", locks.taken, []

    def late(file):
        if not seen:
            seen.append(os.fstat(file.fileno()).st_ino)
            path.rename(tmp_path / "kept")  # so that its number is not used again
            path.touch()
        return taken(file)

    monkeypatch.setattr(locks, "taken", late)
    with locks.alone(path, pytest.fail):
        assert path.stat().st_ino != seen[0]


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
