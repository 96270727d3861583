"""Plain frozen dataclasses that every other layer exchanges: no torch, no I/O.

Comes in: nothing. Goes out: plans, run records and manifests, read and written as JSON by `fireworks.store`,
`fireworks.workflow` and the control service.
"""

from .codec import address, decode, encode
from .plan import PipelineRef, Plan, Resources, Source, SourceObject, StagePlan, StateEdge
from .runs import AttemptEnd, AttemptStart, RunEnd, RunRecord, StageResult, WorkflowRecord
from .tables import Manifest, ObjectRecord, PartRecord, ShardRecord, StateRecord

__all__ = [
    "AttemptEnd",
    "AttemptStart",
    "Manifest",
    "ObjectRecord",
    "PartRecord",
    "PipelineRef",
    "Plan",
    "Resources",
    "RunEnd",
    "RunRecord",
    "ShardRecord",
    "Source",
    "SourceObject",
    "StagePlan",
    "StageResult",
    "StateEdge",
    "StateRecord",
    "WorkflowRecord",
    "address",
    "decode",
    "encode",
]
