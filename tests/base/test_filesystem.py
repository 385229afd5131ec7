"""The type of a folder's file system decides how databases in it are shared."""

from pathlib import Path

import pytest

from flylab.base import filesystem

MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:30 / /home rw - nfs4 server:/home rw
31 30 0:31 / /home/fast\\040disk rw - xfs /dev/sdb1 rw
32 22 0:32 / /mnt/cloud rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "is_network"),
    [
        ("/data/runs", "ext4", False),
        ("/home/me/runs", "nfs4", True),
        ("/home/fast disk/runs", "xfs", False),
        ("/homework/runs", "ext4", False),
        ("/mnt/cloud/runs/deeper", "fuse.sshfs", True),
    ],
)
def test_the_innermost_mount_counts(path, kind, is_network, tmp_path, monkeypatch):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(filesystem, "_MOUNTS", mounts)
    assert filesystem.kind(Path(path)) == kind
    assert filesystem.is_network(Path(path)) == is_network


def test_where_the_system_does_not_say_the_disk_is_local(tmp_path, monkeypatch):
    monkeypatch.setattr(filesystem, "_MOUNTS", tmp_path / "none")
    assert filesystem.kind(tmp_path) == "unknown"
    assert not filesystem.is_network(tmp_path)
