"""Span processors; each works alone on any provider."""
