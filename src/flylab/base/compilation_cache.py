"""The persistent cache of compiled programs: its folder, entries written whole, and broken ones deleted."""

import contextlib
import functools
import secrets
import zlib
from pathlib import Path
from typing import Any

import jax

from flylab.base.files import read_bytes, user_cache, user_path

CACHE = user_cache("jax")
_CHECKED = "flylab-checked"  # a file whose time is that of the last search for broken entries


def use() -> None:
    """Keep compiled programs in the user's cache folder, and delete broken entries, unless another folder is set.

    A folder that the user has set may be another program's, too: nothing is deleted there.
    """
    _write_entries_whole()
    chosen = jax.config.values.get("jax_compilation_cache_dir")
    if chosen is not None and chosen != str(CACHE):
        jax.config.update("jax_compilation_cache_dir", str(user_path(chosen)))
        return
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # no cache: each process compiles anew
    jax.config.update("jax_compilation_cache_dir", str(CACHE))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    delete_broken(CACHE)


def _write_entries_whole() -> None:
    """Let JAX write each entry of its cache under another name and rename it: other processes read while it writes.

    JAX itself writes in place, and warns of truncated entries in the processes that come at the wrong moment. What
    it does is left alone where it limits the folder's size, as it then locks the folder.
    """
    try:
        from jax._src.lru_cache import LRUCache
    except ImportError:  # another version of JAX: those warnings are harmless
        return
    write_in_place = getattr(LRUCache.put, "__wrapped__", LRUCache.put)

    @functools.wraps(write_in_place)
    def put(self: Any, key: str, value: bytes) -> None:
        folder = str(self.path)
        if not key or self.eviction_enabled or "://" in folder:  # a folder in a cloud
            write_in_place(self, key, value)
            return
        temporary, entry = (Path(folder, f"{key}{ending}") for ending in (f".{secrets.token_hex(8)}.tmp", "-cache"))
        try:
            temporary.write_bytes(value)
            temporary.replace(entry)
        finally:
            temporary.unlink(missing_ok=True)

    LRUCache.put = put


def delete_broken(folder: Path) -> list[Path]:
    """Delete the truncated entries of flylab's compilation cache, and return their paths.

    A power failure can leave one, and JAX would warn of it before it compiles anew. Only entries written since the last
    call are read.
    """
    stamp = folder / _CHECKED
    since = stamp.stat().st_mtime if stamp.exists() else 0.0
    broken = []
    for entry in folder.glob("*-cache"):
        try:
            if entry.stat().st_mtime >= since and not _is_complete(read_bytes(entry)):
                entry.unlink()
                broken.append(entry)
        except OSError:
            continue  # another process deleted it first, or the folder is read-only
    with contextlib.suppress(OSError):
        stamp.touch()
    return broken


def _is_complete(entry: bytes) -> bool:
    if entry[:4] == b"\x28\xb5\x2f\xfd":  # Zstandard, which JAX uses where it is installed
        try:
            import zstandard  # type: ignore[import-not-found]
        except ImportError:
            return True
        try:
            zstandard.ZstdDecompressor().decompress(entry)
        except zstandard.ZstdError:
            return False
        return True
    try:
        zlib.decompress(entry)
    except zlib.error:
        return False
    return True
