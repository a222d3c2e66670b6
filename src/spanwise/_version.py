"""The version of the distribution, read by the build and by every record that leaves the process."""

__version__ = "0.1.0"
