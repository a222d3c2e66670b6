"""Spanwise."""
