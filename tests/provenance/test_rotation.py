"""Keys: rotation that readers can follow, revocation that reaches back, passphrases."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from genepool import provenance
from genepool.errors import LogError, PolicyError, SignatureError, UsageError
from genepool.provenance import Ledger, Signer
from genepool.provenance._keyfile import protect, read_key, read_public
from genepool.provenance._rotation import make_rotation, open_rotation, read_rotations
from genepool.provenance._trust import load_trust
from support.ledgers import images, workspace


def own() -> provenance.OwnKey:
    found = provenance.load_key()
    assert found is not None
    return found


# -------------------------------------------------------------------------------------------- rotation


def test_a_log_goes_on_under_the_new_key_and_old_readers_follow(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(3, "before"), space, cohort="a")
    old = own().signer
    fresh = provenance.rotate_key()
    assert fresh.older == (old,)
    assert fresh.signer != old
    done = provenance.register_human(images(3, "after"), space, cohort="a")
    assert done.key == fresh.signer.verifier.id
    # Who knows only the old key reads the log, and who knows only the new one does, too.
    for key in (old.verifier, fresh.signer.verifier):
        ledger = Ledger.open(space.ledger, verifiers=[key])
        assert ledger.verifier.public == fresh.signer.verifier.public
        assert [r.old.public for r in ledger.rotations] == [old.verifier.public]
        ledger.audit()
    trail = provenance.open_trail(space)
    claims = trail.attestations([*images(3, "before").shas, *images(3, "after").shas], [])
    assert all(one.trusted for (one,) in claims)
    assert {one.key for (one,) in claims} == {old.verifier.id, fresh.signer.verifier.id}


def test_a_strangers_trust_in_the_old_key_carries_over_unless_it_is_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(1, "before"), space, cohort="a")
    old = own().signer.verifier
    provenance.rotate_key()
    provenance.register_human(images(1, "after"), space, cohort="a")
    home = tmp_path / "other"
    home.mkdir()
    monkeypatch.setenv("GENEPOOL_HOME", str(home))
    shas = [*images(1, "before").shas, *images(1, "after").shas]
    (home / "trust.toml").write_text(f'[[keys]]\nvkey = "{old.vkey}"\nmay = ["human"]\n')
    assert [c.trusted for (c,) in provenance.open_trail(space).attestations(shas, [])] == [True, True]
    (home / "trust.toml").write_text(f'[[keys]]\nvkey = "{old.vkey}"\nrevoked = true\n')
    assert [c.trusted for (c,) in provenance.open_trail(space).attestations(shas, [])] == [False, False]


def test_rotating_twice_and_a_second_log_that_was_not_written_meanwhile(tmp_path: Path) -> None:
    one, two = workspace(tmp_path, "one"), workspace(tmp_path, "two")
    for space in (one, two):
        provenance.register_human(images(2), space, cohort="a")
    provenance.rotate_key()
    provenance.take_over(one)
    provenance.rotate_key()
    for space in (one, two):
        provenance.register_human(images(3), space, cohort="a")
        ledger = Ledger.open(space.ledger, verifiers=[own().signer.verifier])
        ledger.audit()
        assert provenance.open_trail(space).cohorts["a"].n == 3
    assert len(Ledger.open(one.ledger).rotations) == 2
    assert len(Ledger.open(two.ledger).rotations) == 1


def test_a_crash_between_statement_and_head_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = Signer.generate("old"), Signer.generate("new")
    ledger = Ledger.open(tmp_path / "log", create=True, signer=old)
    ledger.append([b"a", b"b"])

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger, "_finish", crash)
    with pytest.raises(KeyboardInterrupt):
        ledger.rotate(new)
    with pytest.raises(SignatureError, match="this log is signed by"):
        Ledger.open(tmp_path / "log", signer=old).append([b"c"])
    again = Ledger.open(tmp_path / "log", signer=new, verifiers=[old.verifier])
    again.append([b"c"])
    assert Ledger.open(tmp_path / "log", verifiers=[old.verifier]).verifier.public == new.verifier.public
    assert again.audit().size == 3


def test_forged_statements_are_refused(tmp_path: Path) -> None:
    old, new, thief = (Signer.generate(name) for name in ("old", "new", "thief"))
    good = make_rotation("log", old, new, 5)
    assert open_rotation(good.note, "log").new.public == new.verifier.public
    with pytest.raises(SignatureError, match="about log 'other'"):
        open_rotation(good.note, "other")
    for at in range(len(good.note)):
        changed = bytearray(good.note)
        changed[at] ^= 1
        with pytest.raises(SignatureError):
            open_rotation(bytes(changed), "log")
    keys = [signer.renamed("log").verifier.vkey.encode() for signer in (new, thief)]
    forged = good.note.replace(*keys)
    with pytest.raises(SignatureError):
        open_rotation(forged, "log")
    # Two sound statements that do not follow each other
    other = make_rotation("log", thief, new, 7)
    files = {"rotation-0": good.note, "rotation-1": other.note}
    with pytest.raises(LogError, match="rotation-1: expected one by"):
        read_rotations(files.get, "log")


def test_a_thief_cannot_rotate_a_log_to_himself(tmp_path: Path) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(2), space, cohort="a")
    thief = Signer.generate("thief")
    origin = Ledger.open(space.ledger).origin
    other = Signer.generate("other")
    (space.ledger / "rotation-0").write_bytes(make_rotation(origin, thief, other, 0).note)
    for signer in (thief, other, own().signer):
        with pytest.raises(LogError, match="rotation-0: expected a change of the key that signs"):
            Ledger.open(space.ledger, signer=signer)


# ------------------------------------------------------------------------------------------ revocation


def test_a_revocation_may_reach_back_to_the_day_of_the_theft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = workspace(tmp_path)
    provenance.register_human(images(1, "early"), space, cohort="a")
    mine = own().signer
    since = provenance.register_human(images(1, "stolen"), space, cohort="b").size - 2
    provenance.rotate_key()
    with pytest.raises(UsageError, match="since"):
        provenance.revoke_key(space, mine.verifier.vkey, since=10_000)
    provenance.revoke_key(space, mine.verifier.vkey, since=since)
    trail = provenance.open_trail(space)
    shas = [*images(1, "early").shas, *images(1, "stolen").shas]
    assert [c.trusted for (c,) in trail.attestations(shas, [])] == [True, False]
    index = provenance.Lookup(Ledger.open(space.ledger), load_trust(None, provenance.load_public()))
    assert [index.find(sha)[0].trusted for sha in shas] == [True, False]


# ------------------------------------------------------------------------------------------ passphrases


def test_a_protected_key_opens_with_its_passphrase_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENEPOOL_PASSPHRASE", raising=False)
    signer = Signer.generate("me")
    text = protect(signer, "correct horse")
    # PRIVATE+KEY+name+hash+secret, and the base64 of the secret may itself hold a "+".
    assert signer.text().split("+", 4)[4] not in text
    assert read_public(text) == signer.verifier
    with pytest.raises(SignatureError, match="none was given"):
        read_key(text)
    monkeypatch.setenv("GENEPOOL_PASSPHRASE", "wrong")
    with pytest.raises(SignatureError, match="passphrase is wrong"):
        read_key(text)
    monkeypatch.setenv("GENEPOOL_PASSPHRASE", "correct horse")
    assert read_key(text) == signer
    changed = text[:-10] + ("A" if text[-10] != "A" else "B") + text[-9:]
    with pytest.raises(SignatureError):
        read_key(changed)
    with pytest.raises(SignatureError, match="empty"):
        protect(signer, "")


def test_signing_needs_the_passphrase_reading_does_not(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENEPOOL_PASSPHRASE", "open sesame")
    space = workspace(tmp_path)
    provenance.register_human(images(2), space, cohort="a")
    key = own_home / "key"
    assert key.read_text().startswith("ENCRYPTED+KEY+")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    provenance.rotate_key()
    provenance.take_over(space)
    monkeypatch.delenv("GENEPOOL_PASSPHRASE")
    assert provenance.open_trail(space).cohorts["a"].trusted
    with pytest.raises(SignatureError, match="passphrase"):
        provenance.register_human(images(3), space, cohort="a")
    monkeypatch.setenv("GENEPOOL_PASSPHRASE", "open sesame")
    provenance.change_passphrase("")
    monkeypatch.delenv("GENEPOOL_PASSPHRASE")
    assert key.read_text().startswith("PRIVATE+KEY+")
    assert provenance.register_human(images(3), space, cohort="a").new == 1


def test_a_trust_file_names_the_witnesses(tmp_path: Path) -> None:
    witness = provenance.WitnessKey("w", bytes(range(32)))
    (tmp_path / "w.txt").write_text(f"witness one {witness.vkey}\nquorum one\n")
    trust = tmp_path / "trust.toml"
    trust.write_text('[witnesses]\npolicy = "w.txt"\n')
    found = load_trust(None, None, path=str(trust))
    assert found.witnesses is not None
    assert found.witnesses.quorum == "one"
    trust.write_text('[witnesses]\npolicy = "gone.txt"\n')
    with pytest.raises(PolicyError, match=r"gone\.txt"):
        load_trust(None, None, path=str(trust))
    trust.write_text("[witnesses]\nquorum = 2\n")
    with pytest.raises(PolicyError, match="path of a tlog-policy"):
        load_trust(None, None, path=str(trust))
