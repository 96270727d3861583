"""The in-process runner: one shard after the other, in the caller's process and thread.

Comes in: jobs of `fireworks.workflow.scheduling`. Goes out: attempts run by `fireworks.workflow.execution`.
"""

import traceback
from concurrent.futures import Future

from ..errors import FireworksError
from ..records import AttemptEnd, Plan
from .capturing import LogChunks, captured_streams
from .determinism import warn_of_other_level
from .execution import attempt
from .history import write_log_chunk
from .jobs import Job, adopt
from .pipelines import Pipeline
from .progress import Display

__all__ = ["InProcess"]


class InProcess:
    """Runs a shard when it is started. The caller's generators, threads and environment are restored afterwards."""

    name = "inprocess"

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        warn_of_other_level()

    def prepare(self, plan: Plan, display: Display) -> Plan:
        """Nothing: everything is here."""
        return plan

    def start(self, job: Job, display: Display) -> "Future[tuple[AttemptEnd, BaseException | None]]":
        """Run the shard; the future is done."""
        future: Future[tuple[AttemptEnd, BaseException | None]] = Future()
        chunks = LogChunks(
            lambda number, lines: write_log_chunk(
                job.store, job.run_id, job.stage.name, job.shard, job.id, number, lines
            )
        )
        with captured_streams(chunks):
            end, error = adopt(job) or attempt(
                job, lambda: self._pipeline, lambda rows, total: display.rows(job.stage.name, job.shard, rows, total)
            )
            if error is not None and not isinstance(error, FireworksError):
                # For the log alone: the caller gets the error itself.
                chunks.write("".join(traceback.format_exception(error)).encode())
        future.set_result((end, error))
        return future

    def stop(self) -> None:
        """Nothing is under way between two shards."""
