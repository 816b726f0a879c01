"""The log of origins: append-only, signed, provable, in the C2SP formats (tlog-tiles, signed notes).

Attesting (`register_human`, `register_model`, `register_outputs`), recording a check (`seal`), certifying it
(`read_certificate`, `verify_certificate`), reading (`open_trail`, `DataProvenanceBlockchain`), and the log
itself (`Ledger`, `Proof`) with its witnesses and anchors (`submit_head`, `anchor_head`). Evidence is
asymmetric: that an image is AI is believed from anyone, that it is human only from a trusted key.
"""

from __future__ import annotations

from genepool.provenance._anchored import (
    AnchoredHead,
    Anchors,
    anchor_head,
    submit_head,
    upgrade_anchors,
    verify_anchors,
)
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
from genepool.provenance._certificate import Certificate, parse_certificate, read_certificate
from genepool.provenance._certify import CERTIFICATE, make_certificate, refresh_certificate
from genepool.provenance._checkpoint import Checkpoint
from genepool.provenance._cosignature import WitnessKey
from genepool.provenance._discover import logs_near, nearest_workspace
from genepool.provenance._export import FORMATS, export_log, render
from genepool.provenance._export_facts import About
from genepool.provenance._fold import CLASSES, LogState, find_entry, read_log
from genepool.provenance._heads import check_head
from genepool.provenance._keys import (
    OwnKey,
    change_passphrase,
    load_key,
    load_public,
    rotate_key,
    witness_key,
)
from genepool.provenance._ledger import Ledger
from genepool.provenance._lineages import CohortRecord, ModelRecord
from genepool.provenance._lookup import Found, Lookup
from genepool.provenance._members import holds_exactly
from genepool.provenance._models import register_model
from genepool.provenance._note import Signer, Verifier
from genepool.provenance._proof import Proof
from genepool.provenance._quorum import LogPolicy, load_policy
from genepool.provenance._register import Registration, register_human, register_outputs
from genepool.provenance._seal import Seal, seal, seal_subset
from genepool.provenance._sidecar import Sidecar
from genepool.provenance._trace import Trace, trace_cohort, trace_image, trace_model
from genepool.provenance._trail import Trail, open_trail, read_trail
from genepool.provenance._trust import Trust, load_trust
from genepool.provenance._verdicts import (
    VerdictBatch,
    append_verdicts,
    find_verdicts,
    log_size,
    verdict_digest,
)
from genepool.provenance._verify import Finding, Verification, verify_certificate
from genepool.provenance._withdraw import revoke_key, withdraw
from genepool.provenance._witness import Witness
from genepool.provenance._witness_http import serve_witness
from genepool.provenance._writer import take_over

__all__ = [
    "CERTIFICATE",
    "CLASSES",
    "FORMATS",
    "STATES",
    "About",
    "AnchoredHead",
    "Anchors",
    "AssetOrigin",
    "Audit",
    "Certificate",
    "Checkpoint",
    "CohortRecord",
    "DataProvenanceBlockchain",
    "Finding",
    "Found",
    "Ledger",
    "LogPolicy",
    "LogState",
    "Lookup",
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
    "Trace",
    "Trail",
    "Trust",
    "VerdictBatch",
    "Verification",
    "Verifier",
    "Witness",
    "WitnessKey",
    "anchor_head",
    "append_verdicts",
    "change_passphrase",
    "check_head",
    "export_log",
    "find_entry",
    "find_verdicts",
    "holds_exactly",
    "load_key",
    "load_policy",
    "load_public",
    "load_trust",
    "log_size",
    "logs_near",
    "make_certificate",
    "nearest_workspace",
    "open_trail",
    "parse_certificate",
    "read_certificate",
    "read_log",
    "read_trail",
    "refresh_certificate",
    "register_human",
    "register_model",
    "register_outputs",
    "render",
    "report_origins",
    "revoke_key",
    "rotate_key",
    "seal",
    "seal_subset",
    "serve_witness",
    "sign_outputs",
    "submit_head",
    "take_over",
    "trace_cohort",
    "trace_image",
    "trace_model",
    "upgrade_anchors",
    "verdict_digest",
    "verify_anchors",
    "verify_certificate",
    "withdraw",
    "witness_key",
]
