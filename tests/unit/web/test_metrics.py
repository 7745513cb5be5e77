"""Metrics: of one process, and of several that share a port."""

import os
import subprocess
import sys
from pathlib import Path

from tests.contracts.repository import ROOT
from web import metrics


def test_the_names_that_operators_watch() -> None:
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    names = {line.split()[2] for line in body.decode().splitlines() if line.startswith("# TYPE fensi_")}
    assert {
        "fensi_pushes_total",
        "fensi_push_duplicates_total",
        "fensi_push_refused_total",
        "fensi_deadline_misses_total",
        "fensi_push_seconds",
        "fensi_outbox_oldest_seconds",
        "fensi_deliveries_total",
        "fensi_token_refreshes_total",
        "fensi_wechat_calls_total",
        "fensi_database_away_total",
    } <= names


def test_the_numbers_of_all_processes_are_added_up(tmp_path: Path) -> None:
    count = "from web import metrics; metrics.PUSHES.labels('wechat.text', 'answered').inc(2)"
    show = "from web import metrics; print(metrics.render()[0].decode())"
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    for _ in range(2):
        run(count)
    assert 'fensi_pushes_total{kind="wechat.text",outcome="answered"} 4.0' in run(show).splitlines()
