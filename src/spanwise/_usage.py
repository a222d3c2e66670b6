"""Find the token counts in a model's result, whichever provider's spelling it uses.

Results are mappings or objects with a `usage` (OpenAI, Anthropic), a `usage_metadata`
(LangChain, Google) or a `response_metadata`; fields are read raw, running no code of theirs.
"""

from __future__ import annotations

from typing import Any

from spanwise import _raw_fields as raw
from spanwise import semconv

INPUT_SPELLINGS = ("input_tokens", "prompt_tokens", "prompt_token_count", "inputTokens")
OUTPUT_SPELLINGS = (
    "output_tokens",
    "completion_tokens",
    "candidates_token_count",
    "outputTokens",
)
CACHED_SPELLINGS = ("cached_tokens", "cache_read_input_tokens", "cached_content_token_count")
CREATED_SPELLINGS = ("cache_creation_input_tokens", "cache_creation_tokens")
TOTAL_SPELLINGS = ("total_tokens", "total_token_count", "totalTokens")
REASONING_SPELLINGS = ("reasoning_tokens", "thoughts_token_count")
_HOLDERS = ("usage", "usage_metadata", "token_usage")
_NESTED = (
    "prompt_tokens_details",
    "input_tokens_details",
    "completion_tokens_details",
    "output_tokens_details",
    "input_token_details",
    "output_token_details",
)
_LANGCHAIN_DETAILS = {
    "cache_read": semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
    "cache_creation": semconv.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
    "reasoning": semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
}
_COUNTS = (
    (semconv.GEN_AI_USAGE_INPUT_TOKENS, INPUT_SPELLINGS),
    (semconv.GEN_AI_USAGE_OUTPUT_TOKENS, OUTPUT_SPELLINGS),
    (semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS, CACHED_SPELLINGS),
    (semconv.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS, CREATED_SPELLINGS),
    (semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS, REASONING_SPELLINGS),
)


def usage_of(result: object) -> dict[str, int]:
    """Return `gen_ai.usage.*` counts found in a result or a chunk; empty where it has none."""
    for name in _HOLDERS:
        holder = _field(result, name)
        if holder is not None:
            return usage_attributes(holder)
    metadata = _field(result, "response_metadata")
    if metadata is not None:
        for name in _HOLDERS:
            holder = _field(metadata, name)
            if holder is not None:
                return usage_attributes(holder)
    return {}


def usage_attributes(usage: object) -> dict[str, int]:
    """Return `gen_ai.usage.*` counts of a usage mapping or object, in any known spelling."""
    found: dict[str, int] = {}
    nested = (_field(usage, name) for name in _NESTED)
    for part in (usage, *(part for part in nested if part is not None)):
        for attribute, spellings in _COUNTS:
            for spelling in spellings:
                _take(found, attribute, _field(part, spelling))
        if part is not usage:
            for spelling, attribute in _LANGCHAIN_DETAILS.items():
                _take(found, attribute, _field(part, spelling))
    known = (semconv.GEN_AI_USAGE_INPUT_TOKENS, semconv.GEN_AI_USAGE_OUTPUT_TOKENS)
    total = sum(found.get(attribute, 0) for attribute in known)
    for spelling in TOTAL_SPELLINGS:
        count = _field(usage, spelling)
        if count != total:  # some count what they think, too; and some say nothing else
            _take(found, semconv.OBSERVATION_USAGE_TOTAL_TOKENS, count)
    return found


def _take(found: dict[str, int], attribute: str, count: Any) -> None:
    if type(count) is float and count.is_integer() and count < 2**53:
        count = int(count)
    if type(count) is int and count >= 0:
        found.setdefault(attribute, count)


def _field(value: Any, name: str) -> Any:
    if issubclass(type(value), dict):
        return dict.get(value, name)
    found = raw.attribute(value, name)
    return None if found is raw.MISSING else found
