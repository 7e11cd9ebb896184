"""Traces in object storage: a server of its own on this machine, no network."""

import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from readers.common import DATA, run

moto_server = pytest.importorskip("moto.server", reason="needs moto[server]")
boto3 = pytest.importorskip("boto3")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    client = boto3.client("s3")
    client.create_bucket(Bucket="traces")
    yield "traces"
    server.stop()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


def put(bucket: str, key: str, path: Path) -> str:
    boto3.client("s3").upload_file(str(path), bucket, key)
    return f"s3://{bucket}/{key}"


def trace(begin: int, rows: int) -> pl.DataFrame:
    at = [1_772_438_400_000_000 + begin + 1_000 * row for row in range(rows)]
    return pl.DataFrame({"timestamp": at, "function": "f", "duration_ms": 5.0})


def test_a_file_a_prefix_and_a_pattern(
    bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, begin, rows in (("a", 0, 30), ("b", 500, 12)):
        trace(begin, rows).write_parquet(tmp_path / f"{name}.parquet")
        put(bucket, f"day/{name}.parquet", tmp_path / f"{name}.parquet")
    for url, rows in (("day/a.parquet", 30), ("day/", 42), ("day/*.parquet", 42)):
        answer = run(capsys, "run", f"s3://{bucket}/{url}")
        assert answer.code == 0, answer.err
        assert f"{rows} requests to 1 function" in answer.out
    trace(0, 7).write_csv(tmp_path / "c.csv")
    url = put(bucket, "text/c.csv", tmp_path / "c.csv")
    target = tmp_path / "c.parquet"
    assert run(capsys, "convert", url, "-o", target).code == 0
    assert pl.read_parquet(target).height == 7


def test_what_is_not_there_says_so(bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run(capsys, "run", f"s3://{bucket}/none.parquet")
    assert answer.code in {3, 4} and "none.parquet" in answer.err


def test_other_formats_are_to_be_copied(bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = put(bucket, "azure/a.csv", DATA / "azure2021.csv")
    answer = run(capsys, "run", url, "--from", "azure2021")
    assert answer.code == 3 and "aws s3 cp" in answer.err
