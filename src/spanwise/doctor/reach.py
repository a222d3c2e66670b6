"""Examine the destinations: whether each answers, asked by one request without a span."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from spanwise._destinations import EXPORTER_VARIABLE, Destination
from spanwise.doctor import findings
from spanwise.doctor.findings import Finding
from spanwise.doctor.settings import address
from spanwise.doctor.surroundings import Surroundings
from spanwise.export import exporters
from spanwise.export.otlp import OtlpCourier
from spanwise.export.policy import Action

LONGEST_S: Final = 5.0

_GRPC_PORT = 4317
# What a person can do, by what is in the reason that the policy gives; the first one counts.
_MENDS: Final = (
    ("credentials were refused", "correct the headers: {headers}"),
    ("answered 404", "correct the path of {endpoint}: most receivers want a base address"),
    ("answered 405", "correct the path of {endpoint}: most receivers want a base address"),
    ("UNIMPLEMENTED", "correct {endpoint}: what listens there takes no OTLP over gRPC"),
    ("redirects to", "name the address that it redirects to in {endpoint}"),
    ("certificate", "name the authorities to trust in OTEL_EXPORTER_OTLP_CERTIFICATE"),
    ("TLS failed", "say http:// in {endpoint} where the collector speaks no TLS"),
    ("timed out", "see whether {endpoint} names the right host, and a firewall lets it through"),
    ("refused", "start the collector, or correct host and port of {endpoint}"),
    ("not known", "correct the host name of {endpoint}"),
    ("name resolution", "correct the host name of {endpoint}, or look at the name service"),
    ("DNS", "correct the host name of {endpoint}, or look at the name service"),
    ("answered 5", "look at the logs of the collector"),
)
_OTHERWISE = "see whether {endpoint} names an OTLP receiver of this protocol"


def examine(found: Surroundings, *, is_offline: bool = False) -> Iterator[Finding]:
    """Yield for each destination where it is, how spans are sent there, and whether it answers."""
    source = found.settings.sources.get("spool_only")
    for destination in found.set_aside:
        yield findings.warning(
            f"nothing is sent to {address(destination.endpoint)}, since spool_only is set",
            mend=f"unset {source}, or what names the destination",
        )
    if found.settings.spool_only:
        yield findings.fact("spans are left in the spool for another program to read (spool_only)")
    elif not found.destinations:
        yield findings.fact(
            "no destination is configured: nothing is sent",
            mend="to send spans to a collector, set SPANWISE_OTLP_ENDPOINT",
        )
    for sink in exporters.sinks(found.environment):
        yield findings.fact(
            f"the exporter {sink.name!r}, which {EXPORTER_VARIABLE} names, is handed what is masked",
            facts={"exporter": sink.name},
        )
    is_main = found.settings.otlp_endpoint is not None or len(found.destinations) > len(
        found.settings.destinations
    )
    for number, destination in enumerate(found.destinations):
        facts = _facts(destination)
        if is_offline:
            yield findings.fact(f"{_described(facts)}: not asked", facts=facts)
            continue
        names = _names(found) if is_main and number == 0 else _OF_ANOTHER
        yield _asked(destination, facts, names)


def _facts(destination: Destination) -> dict[str, Any]:
    return {
        "endpoint": address(destination.endpoint),
        "protocol": destination.protocol,
        "dialects": list(destination.dialects),
        "headers": list(dict(destination.headers)),
        "proxy": _proxy(destination),
    }


def _asked(destination: Destination, facts: dict[str, Any], names: dict[str, str]) -> Finding:
    timeout_s = min(destination.timeout_s, LONGEST_S)
    courier = OtlpCourier(dataclasses.replace(destination, timeout_s=timeout_s))
    since = time.monotonic()
    answer = courier.send([])
    took_ms = round((time.monotonic() - since) * 1000)
    courier.close()
    verdict = courier.judge(answer)
    outcome = {
        **facts,
        "reached": verdict.action in (Action.DELIVERED, Action.BISECT),
        "answer": answer.status or answer.grpc,
        "reason": verdict.reason,
        "took_ms": took_ms,
    }
    described = _described(facts)
    if verdict.action is Action.DELIVERED:
        return findings.ok(f"{described}: it answers, in {took_ms} ms", facts=outcome)
    if verdict.action is Action.BISECT:
        # Some want at least one span; that it reads what it is sent is told by that.
        return findings.ok(
            f"{described}: it answers, in {took_ms} ms, and takes no request without a span",
            facts=outcome,
        )
    mend = next((mend for part, mend in _MENDS if part in verdict.reason), _OTHERWISE)
    if answer.status is None and destination.protocol != "grpc" and _is_grpc_port(destination):
        mend = f"{mend}; {_GRPC_PORT} is the port of gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
    return findings.problem(
        f"{described}: {verdict.reason}", mend=mend.format(**names), facts=outcome
    )


def _described(facts: dict[str, Any]) -> str:
    parts = [facts["protocol"]]
    if facts["dialects"]:
        parts.append(f"dialects {', '.join(facts['dialects'])}")
    if facts["headers"]:
        parts.append(f"headers {', '.join(facts['headers'])}")
    if facts["proxy"]:
        parts.append(f"through the proxy {facts['proxy']}")
    return f"{facts['endpoint']} ({'; '.join(parts)})"


def _proxy(destination: Destination) -> str | None:
    """Return the proxy that the environment names for an address, as it may be shown."""
    if destination.protocol == "grpc":
        return None  # what gRPC makes of those variables is its own
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(destination.endpoint, get_environ_proxies(destination.endpoint))
    return address(proxy) if proxy else None


_OF_ANOTHER: Final = {"endpoint": "SPANWISE_DESTINATIONS", "headers": "SPANWISE_DESTINATIONS"}


def _names(found: Surroundings) -> dict[str, str]:
    """Return the variables that say where spans are sent, and with what headers."""
    told = {
        "endpoint": (
            *("SPANWISE_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        "headers": (
            *("SPANWISE_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"),
            "OTEL_EXPORTER_OTLP_HEADERS",
        ),
    }
    return {
        kind: next(
            (first[1] for name in names if (first := found.environment.first(name))), names[0]
        )
        for kind, names in told.items()
    }


def _is_grpc_port(destination: Destination) -> bool:
    try:
        return urlsplit(destination.endpoint).port == _GRPC_PORT
    except ValueError:
        return False
