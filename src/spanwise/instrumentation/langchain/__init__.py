"""Whole trees of LangChain and LangGraph, whichever instrumentor's handler sees the runs."""
