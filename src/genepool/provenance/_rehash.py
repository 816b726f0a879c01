"""Comparing a dataset with a certificate by its bytes alone: no decoding, no workspace."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from genepool.provenance._certificate import ASIDE_WIDTH, Certificate
from genepool.store import merkle_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genepool.dataset import Dataset
    from genepool.records import Case, Item

__all__ = ["compare_data", "hash_dataset"]

Said = tuple[str, Literal["good", "bad", "open"], str]
_CHUNK = 32
_SHOWN = 20


def hash_dataset(dataset: Dataset) -> tuple[list[tuple[str, bytes]], list[Case]]:
    """SHA-256 of every image of a dataset, in the order of its listing, by several threads.

    Returns:
        ``(uri, digest)`` of each, and what could not be read.

    Raises:
        SourceError: The dataset cannot be listed, or an object is out of reach for now.
    """
    from genepool.dataset import insist

    aside: list[Case] = []
    items = dataset.items(aside)

    def chunks() -> Iterator[list[Item]]:
        while chunk := list(islice(items, _CHUNK)):
            yield chunk

    def digests(chunk: Sequence[Item]) -> tuple[list[tuple[str, bytes]], list[Case]]:
        found, refused = [], []
        for sample in dataset.source.read(chunk):
            insist(sample.case)
            if sample.data is None:
                if sample.case is not None:
                    refused.append(sample.case)
            else:
                found.append((sample.item.uri, sha256(sample.data).digest()))
        return found, refused

    whole: list[tuple[str, bytes]] = []
    # Hashing and reading leave the interpreter's lock; a few threads keep disk and both cores busy.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for found, refused in pool.map(digests, chunks()):
            whole += found
            aside += refused
    return whole, aside


def compare_data(certificate: Certificate, data: Any) -> list[Said]:
    """Hash every image of a dataset again and compare with the certified root.

    Returns:
        ``(place, state, sentence)`` for each thing that was checked; the files that differ are named.

    Raises:
        SourceError: The data cannot be read at all.
    """
    from genepool import dataset as datasets

    opened = datasets.open(data)
    every, _ = hash_dataset(opened)
    if not every:
        opened.require_images()
    entry = certificate.dataset.body()
    unread = _split(certificate.aside, ASIDE_WIDTH)
    known = _split(certificate.images, certificate.width) if certificate.width else Counter[bytes]()
    images = [(uri, digest) for uri, digest in every if digest[:ASIDE_WIDTH] not in unread]
    root = merkle_root([digest for _, digest in images]).hex()
    said: list[Said] = []
    if len(images) < len(every):
        said.append(("data", "good", f"{len(every) - len(images):,} files were unreadable at the check, too"))
    approved = certificate.facts().get("approved", {})
    if root == entry["root"]:
        said.append(("data", "good", f"all {len(images):,} images hash to the certified root {root[:16]}…"))
        if approved.get("root", root) != root:
            text = f"{entry['n'] - approved['n']:,} of the images were set aside and may not be trained on"
            said.append(("data", "bad", f"{text}: genepool export writes the approved {approved['n']:,}"))
        return said
    if root == approved.get("root"):
        text = f"the {len(images):,} images are the approved part of the certified {entry['n']:,}"
        return [*said, ("data", "good", f"{text}, root {root[:16]}…")]
    said += _differences(certificate, images, known)
    text = (
        f"root {root[:16]}… of {len(images):,} images, certified is {entry['root'][:16]}… of {entry['n']:,}"
    )
    return [*said, ("data", "bad", text)]


def _differences(
    certificate: Certificate, images: list[tuple[str, bytes]], known: Counter[bytes]
) -> list[Said]:
    """The files that are not the certified ones, by name."""
    said: list[Said] = []
    if not known:
        return [("data", "open", "the certificate holds no list of so many images: none can be named")]
    width = certificate.width
    strange = [uri for uri, digest in images if digest[:width] not in known]
    said += [(uri, "bad", "changed or added: no certified image has these bytes") for uri in strange[:_SHOWN]]
    if len(strange) > _SHOWN:
        said.append(("data", "bad", f"{len(strange) - _SHOWN:,} more are changed or added"))
    here = Counter(digest[:width] for _, digest in images)
    lost = known - here
    gone = sum(lost.values())
    twice = [uri for uri, digest in images if here[digest[:width]] > known[digest[:width]] > 0]
    said += [(uri, "bad", "is there more often than it was certified") for uri in twice[:_SHOWN]]
    if gone:
        # A certificate knows images by their bytes alone: the beginning of the SHA-256 is their name in it.
        names = ", ".join(digest.hex() for digest in sorted(lost)[:_SHOWN])
        more = f" and {len(lost) - _SHOWN:,} more" if len(lost) > _SHOWN else ""
        subject = "1 certified image is" if gone == 1 else f"{gone:,} certified images are"
        said.append(("data", "bad", f"{subject} missing or changed: SHA-256 beginning {names}{more}"))
    return said


def _split(joined: bytes, width: int) -> Counter[bytes]:
    return Counter(joined[at : at + width] for at in range(0, len(joined), width))
