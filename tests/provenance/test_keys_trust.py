"""Where private keys lie, and whose word counts."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from genepool import provenance
from genepool.config import Config
from genepool.errors import PolicyError, SignatureError, WorkspaceError
from genepool.provenance import Signer
from genepool.provenance._keys import load_key
from genepool.provenance._trust import load_trust
from support.ledgers import images, workspace


def trusting(path: Path, text: str) -> Config:
    path.write_text(text)
    return Config().with_(ledger__trust=str(path))


def test_the_key_is_made_once_for_its_owner_alone(own_home: Path) -> None:
    assert load_key() is None
    made = load_key(create=True)
    assert made is not None
    assert made.created
    assert stat.S_IMODE((own_home / "key").stat().st_mode) == 0o600
    again = load_key(create=True)
    assert again is not None
    assert not again.created
    assert again.signer == made.signer
    assert [path.name for path in own_home.iterdir()] == ["key"]
    assert made.signer.text() not in repr(made.signer)


def test_a_key_that_others_may_read_is_refused(own_home: Path) -> None:
    load_key(create=True)
    (own_home / "key").chmod(0o640)
    with pytest.raises(SignatureError, match="mode 640"):
        load_key()


def test_keys_from_configuration_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = (Signer.generate(name) for name in ("one", "two", "three"))
    for signer in (one, two):
        path = tmp_path / signer.name
        path.write_text(signer.text())
        path.chmod(0o600)
    monkeypatch.setenv("GENEPOOL_KEY", three.text())
    assert load_key().signer == three  # type: ignore[union-attr]
    monkeypatch.setenv("GENEPOOL_KEY", str(tmp_path / "two"))
    assert load_key().signer == two  # type: ignore[union-attr]
    config = Config().with_(ledger__key=str(tmp_path / "one"))
    assert load_key(config).signer == one  # type: ignore[union-attr]
    with pytest.raises(WorkspaceError, match=r"ledger\.key"):
        load_key(Config().with_(ledger__key=str(tmp_path / "missing")))
    (tmp_path / "one").write_text(one.text()[:-4])
    with pytest.raises(SignatureError) as caught:
        load_key(config)
    assert one.text()[30:60] not in str(caught.value)


def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GENEPOOL_HOME", str(tmp_path / "file"))
    with pytest.raises(WorkspaceError, match="cannot be written"):
        load_key(create=True)


def test_no_private_key_ever_lies_in_the_workspace(tmp_path: Path, own_home: Path) -> None:
    space = workspace(tmp_path)
    done = provenance.register_human(images(3), space, cohort="a", artist="Ada")
    assert done.key_created
    assert done.key_place == str(own_home / "key")
    secret = (own_home / "key").read_bytes().strip()
    seed = load_key().signer.seed  # type: ignore[union-attr]
    for path in space.root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert secret not in data
            assert b"PRIVATE+KEY" not in data
            assert seed not in data
            assert seed.hex().encode() not in data


def test_the_policy_names_keys_and_what_they_may_claim(tmp_path: Path) -> None:
    own, studio, lab, old = (Signer.generate(n).verifier for n in ("own", "studio", "lab", "old"))
    config = trusting(
        tmp_path / "trust.toml",
        f"""
        schema = 1
        [[keys]]
        vkey = "{studio.vkey}"
        comment = "the studio's scanner"
        [[keys]]
        vkey = "{lab.vkey}"
        may = ["decision"]
        [[keys]]
        vkey = "{old.vkey}"
        revoked = true
        """,
    )
    trust = load_trust(config, own)
    assert trust.allows(own.public)
    assert trust.allows(studio.public)
    assert not trust.allows(studio.public, "decision")
    assert trust.allows(lab.public, "decision")
    assert not trust.allows(lab.public)
    assert not trust.allows(old.public)
    assert not trust.allows(Signer.generate("x").verifier.public)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = 2", "schema = 1"),
        ("kyes = []", "did you mean `keys`"),
        ('[[keys]]\nvkey = "nonsense"', "verifier key"),
        ('[[keys]]\nvkee = "x"', "did you mean `vkey`"),
        ("keys = 3", r"\[\[keys\]\]"),
        ("keys = [3]", "expected a table"),
        ("keys = ", "TOML"),
    ],
)
def test_policies_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load_trust(trusting(tmp_path / "trust.toml", text), None)
    import re

    assert re.search(message, str(caught.value))


def test_policy_details_that_are_refused(tmp_path: Path) -> None:
    vkey = Signer.generate("x").verifier.vkey
    for line in ('may = ["everything"]', 'may = "human"', 'revoked = "yes"'):
        with pytest.raises(PolicyError):
            load_trust(trusting(tmp_path / "trust.toml", f'[[keys]]\nvkey = "{vkey}"\n{line}'), None)
    with pytest.raises(PolicyError, match="no such"):
        load_trust(Config().with_(ledger__trust=str(tmp_path / "gone.toml")), None)
