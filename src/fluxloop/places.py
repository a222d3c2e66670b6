"""Which storage the configuration asks for, and putting it in force.

- `storage="memory"`: memory, and no files.
- `offline_store_dir`, where somebody set it: FluxLoop's offline store in that folder.
- `collector_url` with `use_collector`: the collector, and the offline store while it is away.
- otherwise dated files in `base_path`, which the core writes by itself.
"""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING

from spanwise import _state
from spanwise._configure import place_sink
from spanwise._destinations import TRACES_PATH

if TYPE_CHECKING:
    from fluxloop.config import SDKConfig
    from fluxloop.storage import FileStorage, MemoryStorage, OfflineStore

_STORAGE = "fluxloop.storage"
_COLLECTOR = "fluxloop.collector"


def writes_dated_files(config: SDKConfig, named: Set[str]) -> bool:
    """Return whether the core's dated files are what the configuration asks for."""
    return config.storage == "file" and not _wants_store(config, named)


def put_in_force(config: SDKConfig, named: Set[str]) -> None:
    """Have what decorated calls make written where the configuration says.

    Args:
        config: what is configured.
        named: the fields that somebody set.
    """
    _put_collector_in_force(config, named)
    current = _state.sinks.get(_STORAGE)
    if config.storage != "memory" and not _wants_store(config, named):
        if current is not None:
            place_sink(_STORAGE, None)
        return
    from fluxloop.storage import MemoryStorage, OfflineStore

    if config.storage == "memory":
        if not isinstance(current, MemoryStorage):
            place_sink(_STORAGE, MemoryStorage())
    else:
        store = OfflineStore(config.offline_store_dir)
        if not isinstance(current, OfflineStore) or current.base_dir != store.base_dir:
            place_sink(_STORAGE, store)


def _put_collector_in_force(config: SDKConfig, named: Set[str]) -> None:
    current = _state.sinks.get(_COLLECTOR)
    if not sends_to_collector(config):
        if current is not None:
            place_sink(_COLLECTOR, None)
        return
    from fluxloop.collector import HTTPStorage
    from fluxloop.storage import OfflineStore

    store = OfflineStore(config.offline_store_dir)
    if _wants_store(config, named):  # what the collector does not take is there already
        wanted = HTTPStorage(kept_in=store.base_dir)
    else:
        wanted = HTTPStorage(offline=store if config.offline_store_enabled else None)
    if not isinstance(current, HTTPStorage) or current.identity != wanted.identity:
        place_sink(_COLLECTOR, wanted)


def sends_to_collector(config: SDKConfig) -> bool:
    """Return whether a FluxLoop collector, and no OTLP one, is what the configuration asks for."""
    if not config.enabled or not config.use_collector:
        return False
    if config.collector_url is None:
        return config.storage == "http"
    return not config.collector_url.endswith(TRACES_PATH)


def storage_in_force() -> OfflineStore | MemoryStorage | FileStorage:
    """Return the storage that what a program hands over by itself goes to."""
    from fluxloop.storage import FileStorage, MemoryStorage, OfflineStore

    placed = _state.sinks.get(_STORAGE)
    if isinstance(placed, (MemoryStorage, OfflineStore)):
        return placed
    return FileStorage()


def _wants_store(config: SDKConfig, named: Set[str]) -> bool:
    return config.offline_store_enabled and "offline_store_dir" in named
