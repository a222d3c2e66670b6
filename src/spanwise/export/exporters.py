"""Hand records to the exporters that `OTEL_TRACES_EXPORTER` names."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from opentelemetry.sdk.trace.export import SpanExporter

from spanwise._destinations import (
    EXPORTER_VARIABLE,
    FILES_EXPORTER,
    OTLP_EXPORTERS,
    exporter_names,
)
from spanwise._environment import Environment
from spanwise.errors import InvalidSettingError, nearest
from spanwise.export.batches import BatchedSink

_GROUP = "opentelemetry_traces_exporter"
# Not made here: OTLP is a destination, files are a sink, and `none` says that there is none.
_OURS = OTLP_EXPORTERS | {FILES_EXPORTER, "none"}


class ExporterSink(BatchedSink):
    """Records on their way to an exporter that an installed package offers by name.

    What it is handed is masked, like all that Spanwise writes or sends.

    Args:
        name: of the exporter.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, f"the exporter {name!r}")
        self.name = name

    def exporter(self) -> SpanExporter:
        """Make the exporter; it reads its own variables."""
        made: SpanExporter = _offered()[self.name].load()()
        return made


def sinks(environment: Environment) -> tuple[ExporterSink, ...]:
    """Return a sink for each exporter that is named, other than OTLP's.

    Raises:
        InvalidSettingError: no installed package offers one of them.
    """
    wanted = [name for name in exporter_names(environment) if name not in _OURS]
    offered = _offered() if wanted else {}
    for name in wanted:
        if name not in offered:
            known = nearest(name, {*offered, *_OURS})
            raise InvalidSettingError(
                "the exporter",
                f"{name!r} is offered by no installed package{known}",
                source=EXPORTER_VARIABLE,
            )
    return tuple(ExporterSink(name) for name in wanted)


def _offered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=_GROUP)}
