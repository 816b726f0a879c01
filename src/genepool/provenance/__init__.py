"""The log of origins: append-only, signed, provable, in the C2SP formats (tlog-tiles, signed notes).

Attesting (`register_human`, `register_model`, `register_outputs`), recording a check (`seal`), reading
(`open_trail`, `DataProvenanceBlockchain`), and the log itself (`Ledger`, `Proof`). Evidence is asymmetric:
that an image is AI is believed from anyone, that it is human only from a trusted key.
"""

from __future__ import annotations

from genepool.provenance._audit import Audit
from genepool.provenance._blockchain import (
    STATES,
    AssetOrigin,
    DataProvenanceBlockchain,
    OriginReport,
    State,
    report_origins,
)
from genepool.provenance._c2pa import SignedOutputs, sign_outputs
from genepool.provenance._checkpoint import Checkpoint
from genepool.provenance._discover import logs_near, nearest_workspace
from genepool.provenance._fold import CLASSES, LogState, find_entry, read_log
from genepool.provenance._heads import check_head
from genepool.provenance._keys import OwnKey, load_key
from genepool.provenance._ledger import Ledger
from genepool.provenance._lineages import CohortRecord, ModelRecord
from genepool.provenance._models import register_model
from genepool.provenance._note import Signer, Verifier
from genepool.provenance._proof import Proof
from genepool.provenance._register import Registration, register_human, register_outputs
from genepool.provenance._seal import Seal, seal
from genepool.provenance._sidecar import Sidecar
from genepool.provenance._trail import Trail, open_trail, read_trail
from genepool.provenance._trust import Trust, load_trust
from genepool.provenance._verdicts import (
    VerdictBatch,
    append_verdicts,
    find_verdicts,
    log_size,
    verdict_digest,
)
from genepool.provenance._withdraw import revoke_key, withdraw

__all__ = [
    "CLASSES",
    "STATES",
    "AssetOrigin",
    "Audit",
    "Checkpoint",
    "CohortRecord",
    "DataProvenanceBlockchain",
    "Ledger",
    "LogState",
    "ModelRecord",
    "OriginReport",
    "OwnKey",
    "Proof",
    "Registration",
    "Seal",
    "Sidecar",
    "SignedOutputs",
    "Signer",
    "State",
    "Trail",
    "Trust",
    "VerdictBatch",
    "Verifier",
    "append_verdicts",
    "check_head",
    "find_entry",
    "find_verdicts",
    "load_key",
    "load_trust",
    "log_size",
    "logs_near",
    "nearest_workspace",
    "open_trail",
    "read_log",
    "read_trail",
    "register_human",
    "register_model",
    "register_outputs",
    "report_origins",
    "revoke_key",
    "seal",
    "sign_outputs",
    "verdict_digest",
    "withdraw",
]
