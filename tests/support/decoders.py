"""A probe that changes what the worker's real decoder does with one picture, or how much memory it gets."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np

from genepool.compute import lean
from support.probes import MeanProbe, misbehave


class DecoderProbe(MeanProbe):
    """Once in the worker, the JPEG decoder does ``how`` when the bytes hold ``POISON``."""

    name = "decoder"
    poison = b"POISON"

    def __init__(self, how: str) -> None:
        self.how = how

    def prepare(self) -> None:
        import simplejpeg

        real, how, poison = simplejpeg.decode_jpeg, self.how, self.poison

        def decode(data: bytes, *args: Any, **options: Any) -> Any:
            if poison in bytes(data):
                misbehave(how)
            return real(data, *args, **options)

        simplejpeg.decode_jpeg = decode


class SmallProbe(MeanProbe):
    """The worker may use ``spare`` bytes of address space beyond what it has as it starts."""

    name = "small"

    def __init__(self, spare: int) -> None:
        self.spare = spare

    def prepare(self) -> None:
        # Libraries reserve address space with their first work; what is limited here is the decoder.
        lean()
        square = np.ones((256, 256), np.float32)
        square @ square
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + self.spare, resource.RLIM_INFINITY))
