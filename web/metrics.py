"""What /metrics shows. Labels are few and bounded: kinds, outcomes, account ids; never a person."""

import os
from functools import cache
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    values,
)

# With several processes prometheus-client asks for the process's id at every count, a system call; ours never fork.
_PID = os.getpid()
if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    values.ValueClass = values.MultiProcessValue(lambda: _PID)  # type: ignore[no-untyped-call]

PUSHES = Counter("fensi_pushes", "Pushes by kind and outcome", ["kind", "outcome"])
PUSH_DUPLICATES = Counter("fensi_push_duplicates", "Pushes that had been accepted before")
PUSH_REFUSED = Counter("fensi_push_refused", "Pushes refused or malformed, by reason", ["reason"])
DEADLINE_MISSES = Counter("fensi_deadline_misses", "Answers that were not ready within WeChat's time")
PUSH_SECONDS = Histogram(
    "fensi_push_seconds",
    "Seconds from a push's arrival to its answer",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 4.5, 5),
)
OUTBOX_AGE = Gauge(
    "fensi_outbox_oldest_seconds", "Age of the oldest message that is due", multiprocess_mode="livemostrecent"
)
DELIVERIES = Counter("fensi_deliveries", "Messages through the door out, by outcome", ["outcome"])
TOKEN_REFRESHES = Counter("fensi_token_refreshes", "Access tokens fetched", ["account", "forced"])
API_CALLS = Counter("fensi_wechat_calls", "Calls of WeChat's API", ["path", "outcome"])
WECHAT_ALERTS = Counter(
    "fensi_wechat_alerts", "Messages refused for what only a person can mend, by errcode", ["account", "errcode"]
)
MODEL_CALLS = Counter("fensi_model_calls", "Requests to the language model, by outcome", ["what", "outcome"])
MODEL_SECONDS = Histogram(
    "fensi_model_seconds", "Seconds a request to the language model took", buckets=(0.5, 1, 2, 4, 8, 15, 30)
)
MODEL_COST = Counter("fensi_model_cost_fen", "What answers cost, in fen")
ASSISTANT_ANSWERS = Counter("fensi_assistant_answers", "Questions by how they ended, and why", ["outcome", "reason"])
DATABASE_AWAY = Counter("fensi_database_away", "Requests refused because the database was away")


@cache
def pushes(kind: str, outcome: str) -> Counter:
    """Return PUSHES of these labels, kept: looking it up costs more than counting."""
    return PUSHES.labels(kind, outcome)


def render() -> tuple[bytes, str]:
    """Return the metrics of all processes of this server as text, and its content type."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder and Path(folder).is_dir():
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
