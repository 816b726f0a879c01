"""Places that a URL names: reading, writing, locking at them through fsspec, whatever goes wrong on the way.

What fails for a while is tried again, what comes short is noticed, what is said about it names the object and
never a credential. Nothing here is reached without a URL that the user gave.
"""

from genepool.remote._calls import (
    DOWN,
    Unavailable,
    Unreachable,
    call,
    check_url,
    file_system,
    info,
    is_object_store,
    is_url,
    listing,
    put,
    read_object,
    read_range,
    remove,
    scrub,
)
from genepool.remote._lease import Lease
from genepool.remote._stream import RemoteFile, open_remote

__all__ = [
    "DOWN",
    "Lease",
    "RemoteFile",
    "Unavailable",
    "Unreachable",
    "call",
    "check_url",
    "file_system",
    "info",
    "is_object_store",
    "is_url",
    "listing",
    "open_remote",
    "put",
    "read_object",
    "read_range",
    "remove",
    "scrub",
]
