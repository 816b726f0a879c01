"""The version, readable from every room without opening the front door."""

__version__ = "0.1.0"
