"""The same points on the workers of a Dask cluster, which read the trace themselves.

Scheduling, retries and lost workers are Dask's own: a task is a pure function of trace and
scenarios, so that doing it again changes nothing.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lambda_replay import _core
from lambda_replay.exceptions import LambdaReplayError, ResourceError, show
from lambda_replay.measures import flat
from lambda_replay.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lambda_replay.checks import Number
    from lambda_replay.ingest.bad_rows import BadRows
    from lambda_replay.readers.base import ReadOptions

__all__ = ["replay_on", "task"]

#: Tasks for each worker: enough to even out that some take longer and that workers come and go.
_TASKS_PER_WORKER: Final = 4
_CONNECT_S: Final = 10


def task(
    traces: list[str],
    scenarios: list[Scenario],
    version: str,
    read: ReadOptions | None = None,
    bad: BadRows | None = None,
) -> list[dict[str, Any]]:
    """Replay some points; runs on a worker.

    Raises
    ------
    ResourceError
        The worker has another version.
    """
    from lambda_replay.several import replay_several  # noqa: PLC0415 - only on workers

    if version != _core.__version__:
        message = f"a worker has lambda-replay {_core.__version__}, the client {version}"
        raise ResourceError(message, hint="install one version everywhere")
    found = replay_several(traces, scenarios, threads=1, read=read, bad=bad)
    return [{"trace": one.summary.trace, "measures": flat(one.summary.to_dict())} for one in found]


def replay_on(
    scheduler: str,
    traces: Sequence[str],
    scenarios: Sequence[Scenario],
    done: Callable[[int, dict[str, Number | None], dict[str, Any]], None],
    *,
    read: ReadOptions | None = None,
    bad: BadRows | None = None,
) -> None:
    """Replay a trace under several scenarios on a cluster.

    Parameters
    ----------
    scheduler
        Address, such as ``tcp://10.0.0.1:8786``.
    traces
        What every worker can read under the same name: files of a shared folder, or URLs.
    scenarios
        The points.
    done
        Told of each as soon as it is there: its place, its measures, its trace.
    read, bad
        How the trace is read, and what becomes of bad rows.

    Raises
    ------
    ResourceError
        Dask is not installed, the scheduler is not reached, has no workers, or gave up.
    """
    try:
        # An extra, and its functions have no types.
        cluster: Any = importlib.import_module("distributed")
    except ImportError:
        message = "a scheduler needs Dask, which is not installed"
        hint = "pip install 'lambda-replay[dask]'"
        raise ResourceError(message, code="LR-R-DASK", hint=hint) from None
    try:
        client: Any = cluster.Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        message = f"the scheduler {show(scheduler)} is not reached: {error}"
        hint = "start one with: dask scheduler, and workers with: dask worker tcp://HOST:8786"
        raise ResourceError(message, code="LR-R-SCHEDULER", hint=hint) from None
    with client:
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        if workers == 0:
            message = f"the scheduler {show(scheduler)} has no workers"
            hint = f"start some with: dask worker {scheduler}"
            raise ResourceError(message, code="LR-R-WORKERS", hint=hint)
        size = max(1, -(-len(scenarios) // (workers * _TASKS_PER_WORKER)))
        places = [
            range(at, min(at + size, len(scenarios))) for at in range(0, len(scenarios), size)
        ]
        paths = [_absolute(trace) for trace in traces]
        futures = {
            client.submit(
                task,
                paths,
                [scenarios[place] for place in group],
                _core.__version__,
                read,
                bad,
                pure=False,
            ): group
            for group in places
        }
        try:
            for future in cluster.as_completed(futures, loop=client.loop):
                for place, found in zip(futures[future], future.result(), strict=True):
                    done(place, found["measures"], found["trace"])
        except cluster.KilledWorker as error:
            message = f"the cluster gave up on a part of the sweep: {error}"
            hint = "workers that die again and again mostly lack memory"
            raise ResourceError(message, code="LR-R-WORKERS", hint=hint) from None
        except LambdaReplayError:
            raise
        finally:
            client.cancel(list(futures))


def _absolute(trace: str) -> str:
    """Name a file so that a worker in another folder finds it."""
    if "://" in trace or trace.startswith("sample:"):
        return trace
    return str(Path(os.path.abspath(trace)))  # noqa: PTH100 - links stay as they are
