"""Which datasets may train a model.

`measure` gathers what the witnesses say into `Measures`; `decide` applies the policy to them and returns a
`Decision` (pass, fail or undecided; fail outranks undecided) with rule codes, cases and the next command;
`save` and `load_decision` keep it in the workspace, `history` what earlier checks found; `export_approved`
writes out what nothing was found against. The policy is data (`genepool.toml`), the rules are pure functions
of measures and policy; plug-ins may add rules of their own, which take none of ours away.
"""

from genepool.gate._approved import export_approved
from genepool.gate._baseline import apply_baseline, load_baseline
from genepool.gate._decide import RULES, decide
from genepool.gate._measures import Measures, SliceShare, measure
from genepool.gate._plugged import PluggedRule, RuleFacts, open_rules, over, rule_fault
from genepool.gate._saved import history, load_decision, save

__all__ = [
    "RULES",
    "Measures",
    "PluggedRule",
    "RuleFacts",
    "SliceShare",
    "apply_baseline",
    "decide",
    "export_approved",
    "history",
    "load_baseline",
    "load_decision",
    "measure",
    "open_rules",
    "over",
    "rule_fault",
    "save",
]
