"""genepool.toml: every mistake is named, with the cure."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genepool import config
from genepool.errors import ConfigError


def test_defaults_are_the_promised_floors():
    c = config.Config()
    assert (c.policy.human_ratio, c.policy.diversity, c.generation.max) == (0.70, 0.60, 2)
    assert c.detection.threshold == 0.94


def test_plain_data_round_trips():
    c = config.Config().with_(
        policy__human_ratio=0.8, ledger__logs=["a", "b"], generation__weights=[1, 0.5, 0]
    )
    assert config.parse(c.to_json()) == c


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[policy]\nhuman_ration = 0.7", "line 2: unknown key `policy.human_ration`", "policy.human_ratio"),
        ("[polcy]\nhuman_ratio = 0.7", "line 1: unknown key `polcy`", "policy"),
        ("[policy]\nhuman_ratio = 'much'", "`policy.human_ratio` must be a number", ""),
        ("[policy]\nhuman_ratio = 70", "must be at most 1", ""),
        ("[policy]\nhuman_ratio = nan", "must be a number", ""),
        ("[policy]\nhuman_ratio = true", "must be a number", ""),
        ("[generation]\nunknown = 'maybe'", "must be one of 'exclude'", ""),
        ("[generation]\nrule = 'feeling'", "must be one of 'number'", ""),
        ("[generation]\nweights = [1, -0.5]", "must be a list of finite numbers from 0", ""),
        ("[generation]\nweights = ['1']", "must be a list of finite numbers from 0", ""),
        ("[generation]\ntolerance = 0.9", "must be at most 0.5", ""),
        ("[generation]\nmax = 1.5", "must be an integer", ""),
        ("policy = 3", "`policy` must be a table", ""),
        ("[evidence]\ntrust_anchors = 'x.pem'", "must be a list of strings", ""),
        ("[policy", "not a readable TOML file", ""),
    ],
)
def test_mistakes_are_named(tmp_path, text, message, hint):
    path = tmp_path / "genepool.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="no such configuration file") as caught:
        config.load(tmp_path / "none.toml")
    assert caught.value.hint == "genepool init writes one"


def test_pyproject_table_is_read(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.genepool.policy]\nhuman_ratio = 0.9\n")
    monkeypatch.chdir(tmp_path)
    assert config.load().policy.human_ratio == 0.9


def test_every_key_is_described():
    rows = config.describe()
    assert all(text for _, _, text in rows)
    assert len({key for key, _, _ in rows}) == len(rows) > 15


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["policy", "generation", "scan", "engine", "schema", "human_ratio", "max", "unit", "x"]
)


@given(st.dictionaries(names, plain | st.dictionaries(names, plain, max_size=3), max_size=4))
def test_any_data_gives_a_config_or_a_config_error(data):
    with contextlib.suppress(ConfigError):
        assert isinstance(config.parse(data), config.Config)
