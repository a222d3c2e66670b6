"""Graphs that are run for their traces, and how a trace is written down."""
