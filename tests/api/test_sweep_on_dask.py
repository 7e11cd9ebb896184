"""A sweep on a real scheduler with real workers on this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import lambda_replay as lr

pytest.importorskip("distributed")

TRACE = "sample:azure2019"
GRID = {"account.concurrency": [6, 8, 10, 12, 14, 16]}


class Cluster:
    """A scheduler and two workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self.folder = folder
        arguments = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
        self.processes = [self.start("dask_scheduler", *arguments)]
        self.workers = [self.add_worker() for _ in range(2)]
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and self.count() < 2:
            time.sleep(0.2)
        assert self.count() == 2

    def start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", *arguments],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def add_worker(self) -> subprocess.Popen[bytes]:
        arguments = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
        worker = self.start("dask_worker", self.address, *arguments)
        self.processes.append(worker)
        return worker

    def count(self) -> int:
        from distributed import Client

        try:
            with Client(self.address, timeout=2, set_as_default=False) as client:
                return len(client.scheduler_info()["workers"])
        except OSError:
            return 0

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    running: list[Cluster] = []
    try:
        running.append(Cluster(tmp_path_factory.mktemp("cluster")))
        yield running[0]
    finally:
        for one in running:
            one.close()


def test_points_are_as_here_whatever_becomes_of_a_worker(cluster: Cluster, tmp_path: Path) -> None:
    here = lr.sweep(TRACE, None, GRID)
    assert lr.sweep(TRACE, None, GRID, scheduler=cluster.address, output=tmp_path).equals(here)
    # Kept points need no cluster.
    assert lr.sweep(TRACE, None, GRID, scheduler="tcp://127.0.0.1:1", output=tmp_path).equals(here)
    killer = threading.Timer(0.4, cluster.workers[0].kill)
    killer.start()
    try:
        assert lr.sweep(TRACE, None, GRID, scheduler=cluster.address).equals(here)
    finally:
        killer.join()
    assert cluster.workers[0].wait() != 0


def test_what_the_workers_cannot_read_is_told(cluster: Cluster) -> None:
    with pytest.raises(lr.TraceError, match="missing"):
        lr.sweep("missing.parquet", None, GRID, scheduler=cluster.address)


def test_a_scheduler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambda_replay.distributed.dask._CONNECT_S", 1)
    with pytest.raises(lr.ResourceError, match="is not reached") as caught:
        lr.sweep(TRACE, None, GRID, scheduler="tcp://127.0.0.1:1")
    assert caught.value.exit_code == 4
