"""The request table as a file."""

import csv
import sys
from dataclasses import replace

import numpy as np
import pytest
from metrics_runs import poisson_run, with_requests

from sim.errors import UserError
from sim.metrics import write_requests
from sim.metrics.export import request_columns
from sim.serving.records import REJECTED

RESULT = with_requests(
    poisson_run(n=12),
    status=np.where(np.arange(12) == 5, REJECTED, 0).astype(np.int8),
    finish=np.where(np.arange(12) == 5, np.nan, poisson_run(n=12).requests.finish),
)


def test_a_csv_gives_back_every_number_exactly(tmp_path):
    path = tmp_path / "requests.csv"
    write_requests(RESULT, path)
    rows = list(csv.DictReader(path.open()))
    assert len(rows) == 12
    for name, column in request_columns(RESULT).items():
        for row, value in zip(rows, column, strict=True):
            if isinstance(value, str):
                assert row[name] == value
            elif np.isnan(value):
                assert row[name] == ""
            else:
                assert float(row[name]) == value
    assert rows[5]["status"] == "rejected"


def test_a_client_name_with_a_comma_stays_one_cell(tmp_path):
    path = tmp_path / "requests.csv"
    write_requests(replace(RESULT, clients=('chat, "fast"',)), path)
    assert {row["client"] for row in csv.DictReader(path.open())} == {'chat, "fast"'}


def test_parquet_holds_the_same_columns(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    path = tmp_path / "requests.parquet"
    write_requests(RESULT, path)
    table = parquet.read_table(path)
    columns = request_columns(RESULT)
    assert table.column_names == list(columns)
    assert table["prompt_tokens"].to_pylist() == columns["prompt_tokens"].tolist()
    assert table["finish_s"].to_numpy() == pytest.approx(columns["finish_s"], nan_ok=True)


def test_parquet_without_pyarrow_is_one_sentence_and_no_file(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match="pyarrow"):
        write_requests(RESULT, tmp_path / "requests.parquet")
    assert not list(tmp_path.iterdir())


def test_another_ending_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(UserError, match=r"\.csv or \.parquet, not '\.xlsx'"):
        write_requests(RESULT, tmp_path / "requests.xlsx")
