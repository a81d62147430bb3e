"""Jobs on the machines of a Ray cluster: an actor with a model on each of its processors.

Recordings and models must lie on a disk that all machines share, as actors read them there. This
process writes all transcripts. An actor that dies is started again, and its job with it.
"""

import os
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from asr._install import install
from asr.batch.jobs import Job, Outcome, Outcomes, Transcriber
from asr.errors import AsrError, ConfigError, MissingDependencyError, WorkerError

LOCAL, AUTO = "local", "auto"
RETRIES = 2  # of a job whose actor died; the recording may be the cause


def run_on_ray(
    transcriber: Transcriber, jobs: Iterable[Job], address: str, count: int | None = None
) -> Outcomes:
    """Do jobs in `count` actors, by default one for each processor; yield outcomes as they come.

    A job is taken from `jobs` when an actor is free for it. Closing the iterator leaves
    the cluster.

    Args:
        transcriber: does the jobs; its paths are absolute.
        jobs: of files, not of standard input.
        address: LOCAL for a cluster on this machine that ends with the iterator, AUTO for the
            cluster that the machine belongs to, HOST:PORT or ray://HOST:PORT.
        count: number of actors.

    Raises:
        MissingDependencyError: Ray is not installed.
        ConfigError: there is no cluster at this address.
        AsrError: the model cannot be loaded.
    """
    ray = _connected(address, count)
    try:
        size = count or max(1, int(ray.cluster_resources().get("CPU", 1)))
        make = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=RETRIES)(Transcriber)
        waiting = iter(jobs)
        running = {}
        for job in islice(waiting, size):
            actor = make.remote(**vars(transcriber))
            running[actor.run.remote(_sent(job))] = actor, job
        while running:
            (ready, *_), _ = ray.wait(list(running))
            actor, job = running.pop(ready)
            yield _received(ray, ready, job)
            following = next(waiting, None)
            if following:
                running[actor.run.remote(_sent(following))] = actor, following
    finally:
        ray.shutdown()


def _connected(address: str, count: int | None) -> Any:
    if address not in (LOCAL, AUTO) and ":" not in address:
        raise ConfigError(
            f"--ray {address}: no address of a cluster; allowed: {LOCAL}, {AUTO}, HOST:PORT, "
            "ray://HOST:PORT; inputs stand before --ray"
        )
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when a cluster starts, here by ray.init
    try:
        import ray
    except ModuleNotFoundError:
        raise MissingDependencyError(
            f"--ray needs the package ray; install it: {install('ray')}"
        ) from None
    own = {"num_cpus": count, "include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address, logging_level="ERROR", log_to_driver=False, **own)
    except Exception as error:  # Ray raises anything, down to Exception itself
        raise ConfigError(f"--ray {address}: no cluster answers there ({error})") from error
    return ray


def _sent(job: Job) -> Job:
    """Return the job with a path that holds on every machine."""
    return replace(job, source=Path(job.source).absolute())


def _received(ray: Any, ready: Any, job: Job) -> Outcome:
    """Return the outcome of a job, with the path as the user gave it."""
    try:
        outcome: Outcome = ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, (AsrError, ModuleNotFoundError)):
            raise error.cause from None
        return Outcome(
            job, error=WorkerError(f"{job.source}: failed in an actor ({error.cause!r})")
        )
    except ray.exceptions.RayError as error:
        return Outcome(
            job, error=WorkerError(f"{job.source}: its actor died again and again ({error})")
        )
    found = outcome.transcript and replace(outcome.transcript, path=str(job.source))
    return replace(outcome, job=job, transcript=found)
