"""A real OpenTelemetry Collector, and what comes out of it of what was sent in."""
