"""Third-party instrumentors: loading them, and reading their spans."""
