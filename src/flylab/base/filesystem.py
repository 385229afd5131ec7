"""The kind of file system that a folder is on: decides how databases in it may be shared."""

import os
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = {
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "pvfs2", "orangefs",
    "ocfs2", "gfs2", "9p", "virtiofs", "panfs", "wekafs", "davfs", "vboxsf", "vmhgfs",
}  # fmt: skip


def kind(path: Path) -> str:
    """Return the type of the file system that a path is on, or "unknown" where the system does not say.

    A path that does not exist yet counts as its nearest parent that does.
    """
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    target = os.path.realpath(path)
    best, found = "", "unknown"
    for line in mounts:
        before, _, after = line.partition(" - ")
        mount = before.split()[4].encode().decode("unicode_escape")  # blanks are written \040
        inside = target == mount or target.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, found = mount, after.split()[0]
    return found


def is_network(path: Path) -> bool:
    """Return whether a path is on a network file system, where locks and shared memory cannot be trusted.

    >>> is_network(Path("/proc"))
    False
    """
    name = kind(path)
    return name in _NETWORK or name.startswith("fuse.")
