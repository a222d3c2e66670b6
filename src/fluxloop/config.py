"""FluxLoop's configuration, and its translation into Spanwise's settings."""

from __future__ import annotations

import copy
import dataclasses
import os
import tempfile
from collections.abc import Callable, Mapping, Set
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import spanwise
from fluxloop import places
from fluxloop.coercion import Problems, in_one_line
from spanwise import _guard, _originals, _state
from spanwise._configure import apply
from spanwise._configure import first_use as _core_first_use
from spanwise._destinations import TRACES_PATH
from spanwise._environment import Environment
from spanwise._settings import boolean

if TYPE_CHECKING:
    from spanwise._state import Runtime

STORAGES = ("file", "http", "memory")
_LARGEST_BATCH = 100


def _setting(variable: str, default: Any, parse: Callable[[str], Any]) -> Any:
    """Return a field whose default is read from the environment when the configuration is made."""

    def read() -> Any:
        found = Environment.read().first(f"FLUXLOOP_{variable}")
        if found is None:
            return default
        try:
            return parse(found[0])
        except ValueError as error:
            raise ValueError(f"{found[1]}: {error}") from None

    return dataclasses.field(default_factory=read, metadata={"default": default})


def _collector_url(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
    except ValueError as error:
        raise ValueError(f"Invalid collector URL: {error}") from None
    if not parts.scheme or not parts.netloc:
        raise ValueError("Invalid collector URL: it needs a scheme and a host")
    return value.rstrip("/")


def _sample_rate(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError("sample_rate must be between 0 and 1")
    return value


def _batch_size(value: int) -> int:
    if value < 1:
        raise ValueError("batch_size must be at least 1")
    if value > _LARGEST_BATCH:
        raise ValueError(f"batch_size must not exceed {_LARGEST_BATCH}")
    return value


def _storage(value: str) -> str:
    if value not in STORAGES:
        raise ValueError(f"storage must be one of {', '.join(STORAGES)}, not {value!r}")
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "collector_url": _collector_url,
    "sample_rate": _sample_rate,
    "batch_size": _batch_size,
    "storage": _storage,
}


@dataclasses.dataclass
class SDKConfig:
    """FluxLoop's settings; each is a keyword of `configure()` and a variable `FLUXLOOP_...`.

    A value of another type is made what its setting is where that can be done: "7" a number,
    "no" a boolean, a path its text.

    Raises:
        pydantic.ValidationError: values cannot be used; names each, and is a ValueError.
    """

    enabled: bool = _setting("ENABLED", True, boolean)
    debug: bool = _setting("DEBUG", False, boolean)
    collector_url: str | None = _setting("COLLECTOR_URL", None, str)
    api_key: str | None = dataclasses.field(
        default_factory=lambda: Environment.read().get("FLUXLOOP_API_KEY"),
        repr=False,
        metadata={"default": None},
    )
    use_collector: bool = _setting("USE_COLLECTOR", True, boolean)
    offline_store_enabled: bool = _setting("OFFLINE_ENABLED", True, boolean)
    offline_store_dir: str = _setting("OFFLINE_DIR", "./experiments/artifacts", str)
    record_args: bool = _setting("RECORD_ARGS", False, boolean)
    recording_file: str | None = _setting("RECORDING_FILE", None, str)
    batch_size: int = _setting("BATCH_SIZE", 10, int)
    flush_interval: float = _setting("FLUSH_INTERVAL", 5.0, float)
    max_queue_size: int = _setting("MAX_QUEUE_SIZE", 1000, int)
    timeout: float = _setting("TIMEOUT", 10.0, float)
    sample_rate: float = _setting("SAMPLE_RATE", 1.0, float)
    service_name: str | None = _setting("SERVICE_NAME", None, str)
    environment: str | None = _setting("ENVIRONMENT", "development", str)
    storage: str = _setting("STORAGE", "file", str)
    base_path: str = _setting("BASE_PATH", "./traces", str)
    project_name: str | None = _setting("PROJECT_NAME", None, str)
    auto_flush: bool = _setting("AUTO_FLUSH", True, boolean)
    buffer_size: int = _setting("BUFFER_SIZE", 100, int)

    def __post_init__(self) -> None:
        problems = Problems(type(self).__name__)
        for field in dataclasses.fields(self):
            name, kind = field.name, str(field.type)
            value = problems.checked(name, getattr(self, name), kind, _CHECKS.get(name))
            setattr(self, name, value)
        problems.raise_if_any()
        if self.record_args:
            self.recording_file = str(_recording_path(self.recording_file))

    @classmethod
    def model_validate(cls, given: Mapping[str, Any]) -> SDKConfig:
        """Return a configuration of what is known among the given names, as pydantic's models."""
        return cls(**{name: value for name, value in given.items() if name in _FIELDS})

    def model_copy(
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> SDKConfig:
        """Return a copy with these values, which are not checked, as pydantic's models do."""
        made = copy.deepcopy(self) if deep else copy.copy(self)
        for name, value in (update or {}).items():
            setattr(made, name, value)
        return made

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """Return the settings by name; the options are those of pydantic's models."""
        if not options:
            return dataclasses.asdict(self)
        from pydantic import create_model

        fields: dict[str, Any] = {name: (Any, default) for name, default in _DEFAULTS.items()}
        model = create_model(type(self).__name__, **fields)
        dumped: dict[str, Any] = model(**dataclasses.asdict(self)).model_dump(**options)
        return dumped


_DEFAULTS = {field.name: field.metadata["default"] for field in dataclasses.fields(SDKConfig)}
_FIELDS = frozenset(_DEFAULTS)
_config: SDKConfig | None = None


def get_config() -> SDKConfig:
    """Return the configuration: the same object until it is configured or reset."""
    global _config
    if _config is None:
        _config = SDKConfig()
    return _config


def configure(**kwargs: Any) -> SDKConfig:
    """Change the configuration, put it in force, and return it.

    Args:
        **kwargs: the fields of `SDKConfig`.

    Raises:
        ValueError: an unknown parameter, or a value that cannot be used.
    """
    global _config
    _originals.tell_if_installed("fluxloop")
    for name in kwargs:
        if name not in _FIELDS:
            raise ValueError(f"Unknown configuration parameter: {name}")
    changed = dataclasses.replace(get_config(), **kwargs)
    given = _changed(changed) | kwargs.keys()
    # Where Spanwise was configured by itself, only what is named here is changed.
    others = _FIELDS - given if _state.runtime is None else frozenset[str]()
    apply(_translated(changed, given), defaults=_translated(changed, others))
    _config = changed
    places.put_in_force(changed, given)
    return changed


def reset_config() -> SDKConfig:
    """Go back to the defaults and the environment, and return the new configuration."""
    global _config
    _config = SDKConfig()
    if _state.runtime is not None:
        apply(_translated(_config, _FIELDS))
        places.put_in_force(_config, _changed(_config))
    return _config


def load_env(
    path: str | os.PathLike[str] | None = None,
    *,
    override: bool = True,
    refresh_config: bool = True,
    dotenv_path: str | os.PathLike[str] | None = None,
) -> bool:
    """Load a `.env` file into `os.environ`; return whether anything was loaded.

    Args:
        path: a file, or a folder that holds `.env`; by default the nearest `.env` upwards.
        override: replace variables that are already set.
        refresh_config: read the configuration anew from the environment, which drops what
            `configure()` set; where no path is given, only if anything was loaded.
        dotenv_path: another name for `path`.

    Raises:
        TypeError: both `path` and `dotenv_path` are given.
    """
    from dotenv import find_dotenv, load_dotenv

    if path is not None and dotenv_path is not None:
        raise TypeError("load_env() takes a path or a dotenv_path, not both")
    given = path if path is not None else dotenv_path
    if given is None:
        chosen = find_dotenv(usecwd=True)
    else:
        candidate = Path(given).expanduser()
        chosen = str(candidate / ".env" if candidate.is_dir() else candidate)
    loaded = bool(chosen) and load_dotenv(chosen, override=override)
    if refresh_config and (loaded or given is not None):
        reset_config()
    return loaded


def first_use() -> Runtime | None:
    """Put the configuration in force where a decorated call finds nothing configured."""
    _originals.tell_if_installed("fluxloop")
    try:
        config = get_config()
    except ValueError as error:  # a bad variable: told once, and the program goes on
        _state.is_off = True
        _guard.warn("fluxloop", in_one_line(error))
        return None
    given = _changed(config)
    runtime = _core_first_use(
        _translated(config, given), defaults=_translated(config, _FIELDS - given)
    )
    if runtime is not None:
        with _guard.guard("fluxloop.storage"):
            places.put_in_force(config, given)
    return _state.runtime


def config_for_use() -> SDKConfig:
    """Return the configuration, or one that is disabled where a variable cannot be used."""
    try:
        return get_config()
    except ValueError as error:
        _guard.warn("fluxloop", in_one_line(error))
        return SDKConfig(**{**_DEFAULTS, "enabled": False})


def record_to(path: Path | None) -> None:
    """Record calls into this file from now on; None stops it."""
    config = get_config()
    config.record_args = path is not None
    if path is not None:
        config.recording_file = str(path)
    if _state.runtime is not None:
        spanwise.configure(record=path if path is not None else False)


def _changed(config: SDKConfig) -> set[str]:
    return {name for name in _FIELDS if getattr(config, name) != _DEFAULTS[name]}


def _translated(config: SDKConfig, named: Set[str]) -> dict[str, Any]:
    """Return Spanwise's settings for the named fields."""
    settings: dict[str, Any] = {}
    for name in ("enabled", "sample_rate", "environment"):
        if name in named:
            settings[name] = getattr(config, name)
    if named & {"service_name", "project_name"}:
        settings["service_name"] = config.service_name or config.project_name
    if named & {"storage", "base_path", "offline_store_dir", "offline_store_enabled"}:
        is_dated = places.writes_dated_files(config, named)
        settings["traces_dir"] = config.base_path if is_dated else None
    if named & {"record_args", "recording_file"}:
        settings["record"] = config.recording_file if config.record_args else False
    if named & {"collector_url", "use_collector", "api_key"}:
        settings |= _collector(config)
    return settings


def _collector(config: SDKConfig) -> dict[str, Any]:
    if config.collector_url is None or not config.use_collector:
        return {"destinations": ()}
    if not config.collector_url.endswith(TRACES_PATH):
        return {"destinations": ()}  # a FluxLoop collector: see `places`
    headers = {"Authorization": f"Bearer {config.api_key}"} if config.api_key else {}
    destination = spanwise.Destination(
        endpoint=config.collector_url, headers=headers, timeout_s=config.timeout
    )
    return {"destinations": (destination,)}


def _recording_path(given: str | None) -> Path:
    if given:
        return Path(given).expanduser().absolute()
    stamp = datetime.now().strftime("%Y%m%d_%H%M%S")
    return Path(tempfile.gettempdir()) / f"fluxloop_args_{stamp}.jsonl"
