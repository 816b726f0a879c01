"""What must hold for every split, order and repetition."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genepool.diversity import (
    Panel,
    SpreadState,
    StyleState,
    VendiState,
    cluster_weights,
    index_of,
    near_duplicates,
    style_diversity,
    vendi_score,
)

# A quarter of the frequencies: the algebra is the same, sixteen times faster.
PANEL = dataclasses.replace(
    Panel.load(embedder="classical"), frequencies=Panel.load(embedder="classical").frequencies[:64]
)
RNG = np.random.default_rng(0)
PLACES = PANEL.prototypes[RNG.integers(0, len(PANEL.prototypes), 120)]
PLACES = PLACES + RNG.normal(size=PLACES.shape) * np.where(np.arange(120) % 5 == 0, 4.0, 0.4)[:, None]
VECTORS = (PLACES @ np.linalg.pinv(PANEL.projection) + PANEL.mean).astype(np.float32)

cuts = st.lists(st.integers(0, 120), max_size=6).map(lambda c: [0, *sorted(c), 120])


@settings(max_examples=10)
@given(cuts, st.randoms(use_true_random=False), st.booleans())
def test_parts_in_any_order_merge_to_the_whole(bounds, random, weighted):
    verified = RNG.random(120) < 0.2
    weights = RNG.uniform(0.1, 2.0, 120) if weighted else np.ones(120)
    whole = StyleState(PANEL)
    whole.update(VECTORS, verified, weights)
    parts = []
    for low, high in itertools.pairwise(bounds):
        part = StyleState(PANEL)
        part.update(VECTORS[low:high], verified[low:high], weights[low:high])
        parts.append((part, low, high))
    random.shuffle(parts)
    merged = StyleState(PANEL)
    for part, _, _ in parts:
        merged.merge(part)
    assert (merged.n, merged.n_on) == (whole.n, whole.n_on)
    assert merged.purity() == pytest.approx(whole.purity(), rel=1e-9)
    assert np.abs(merged.moment - whole.moment).max() <= 1e-9 * np.abs(whole.moment).max()
    one = SpreadState(whole)
    one.update(VECTORS, verified, weights)
    spreads = []
    for _, low, high in parts:
        spread = SpreadState(merged)
        spread.update(VECTORS[low:high], verified[low:high], weights[low:high])
        spreads.append(spread)
    several = spreads[0]
    for spread in spreads[1:]:
        several.merge(spread)
    assert several.deviation() == pytest.approx(one.deviation(), rel=1e-9)
    a, b = index_of(whole, one), index_of(merged, several)
    assert (a.lower, a, a.upper) == pytest.approx((b.lower, b, b.upper), rel=1e-9, abs=1e-12)


@settings(max_examples=10)
@given(st.permutations(range(120)))
def test_order_does_not_matter(order):
    order = np.array(order)
    assert style_diversity(VECTORS[order], PANEL) == pytest.approx(style_diversity(VECTORS, PANEL), rel=1e-9)


@settings(max_examples=15)
@given(st.lists(st.integers(1, 6), min_size=30, max_size=30))
def test_copies_that_share_their_weight_never_raise_the_index(times):
    copies = np.repeat(np.arange(30), times)
    plain = style_diversity(VECTORS[:30], PANEL)
    repeated = style_diversity(VECTORS[copies], PANEL, weights=cluster_weights(copies))
    assert repeated <= plain + 1e-12


@settings(max_examples=15)
@given(st.integers(0, 60))
def test_images_off_support_never_raise_it_beyond_one_style(count):
    far = np.repeat(PANEL.mean[None] + 100.0, count, axis=0)
    on = VECTORS[np.arange(120) % 5 != 0]
    styles = style_diversity(on, PANEL).styles
    mixed = style_diversity(np.concatenate((on, far)), PANEL).styles
    # Hill numbers of order 2 over disjoint groups: at most one more than before, up to what leaving out each
    # image's comparison with itself is worth.
    assert mixed <= (styles + 1.0) * (1.0 + 2.0 / len(on))


@settings(max_examples=10)
@given(cuts, st.sampled_from([1.0, 2.0]))
def test_vendi_states_merge(bounds, q):
    x = VECTORS[:, :48].astype(float)
    whole = VendiState(x.shape[1])
    whole.update(x)
    merged = VendiState(x.shape[1])
    for low, high in itertools.pairwise(bounds):
        part = VendiState(x.shape[1])
        part.update(x[low:high])
        merged.merge(part)
    assert merged.n == whole.n
    assert merged.plug_in(q) == pytest.approx(whole.plug_in(q), rel=1e-9)
    assert merged.purity() == pytest.approx(whole.purity(), rel=1e-9)
    batches = [x[low:high] for low, high in itertools.pairwise(bounds) if high > low]
    assert vendi_score(batches) == pytest.approx(vendi_score(x), rel=1e-9)


@settings(max_examples=50)
@given(st.lists(st.binary(min_size=32, max_size=32), max_size=40), st.integers(0, 64))
def test_clusters_are_the_components_of_the_definition(hashes, radius):
    labels = near_duplicates(hashes, radius)
    assert len(labels) == len(hashes)
    bits = np.unpackbits(np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32), axis=1).astype(int)
    group = list(range(len(hashes)))

    def root(i):
        while group[i] != i:
            i = group[i]
        return i

    for i in range(len(hashes)):
        for j in range(i):
            if np.abs(bits[i] - bits[j]).sum() <= radius:
                group[root(i)] = root(j)
    roots = [root(i) for i in range(len(hashes))]
    assert all(
        (labels[i] == labels[j]) == (roots[i] == roots[j]) for i in range(len(hashes)) for j in range(i)
    )
    assert list(dict.fromkeys(labels.tolist())) == list(range(len(set(roots))))
