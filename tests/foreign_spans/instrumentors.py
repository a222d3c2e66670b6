"""The instrumentors whose spans are recorded: what turns each on, for a given provider."""

from __future__ import annotations

import importlib
from typing import Any, Final

# The module and class of each, by the library that it instruments and the vocabulary it writes.
CLASSES: Final = {
    "langchain": {
        "gen_ai": ("opentelemetry.instrumentation.genai.langchain", "LangChainInstrumentor"),
        "openinference": ("openinference.instrumentation.langchain", "LangChainInstrumentor"),
        "traceloop": ("opentelemetry.instrumentation.langchain", "LangchainInstrumentor"),
    },
    "openai": {
        "gen_ai": ("opentelemetry.instrumentation.genai.openai", "OpenAIInstrumentor"),
        "openinference": ("openinference.instrumentation.openai", "OpenAIInstrumentor"),
        "traceloop": ("opentelemetry.instrumentation.openai", "OpenAIInstrumentor"),
    },
}
# Earlier releases and forms of the same, in an environment of their own.
EARLIER: Final = {
    "langchain": {"traceloop_0": CLASSES["langchain"]["traceloop"]},
    "openai": {
        "openai_v2": ("opentelemetry.instrumentation.openai_v2", "OpenAIInstrumentor"),
        "traceloop_0": CLASSES["openai"]["traceloop"],
    },
}
TODAY: Final = {
    "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only",
}
VARIABLES: Final = {
    "TRACELOOP_TELEMETRY": "false",  # which sends what is run to its maker
    "LANGFUSE_PUBLIC_KEY": "pk-lf-1",
    "LANGFUSE_SECRET_KEY": "sk-lf-1",
    "LANGFUSE_HOST": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1",
    "LANGCHAIN_TRACING_V2": "false",
}


def turn_on(library: str, vocabulary: str, provider: Any) -> list[Any]:
    """Turn one instrumentor on; return callback handlers that the program has to pass itself."""
    if vocabulary == "langfuse":
        return [langfuse_handler(provider)] if library == "langchain" else []
    module, name = (CLASSES[library] | EARLIER[library])[vocabulary]
    getattr(importlib.import_module(module), name)().instrument(tracer_provider=provider)
    return []


def langfuse_client(provider: Any) -> Any:
    """Return Langfuse's client on this provider, which gets its processor as well."""
    from langfuse import Langfuse

    return Langfuse(tracer_provider=provider, flush_interval=3600)


def langfuse_handler(provider: Any) -> Any:
    """Return Langfuse's callback handler for LangChain."""
    langfuse_client(provider)
    return importlib.import_module("langfuse.langchain").CallbackHandler()
