"""Logs: one line per happening on standard output, as text for people or JSON for machines.

Nothing personal is logged: no openid, text, phone number, token or secret; errors by type and place only.
"""

import logging
import sys

import structlog

from app.settings import Settings


def configure(settings: Settings) -> None:
    """Set up structlog, and pass what libraries log from `warning` upwards through it."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    )
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _without_trace, renderer],
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))


def _without_trace(
    _logger: structlog.types.WrappedLogger, _name: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Replace a library's trace by the error's type: a trace may carry what a person wrote."""
    trouble = event.pop("exc_info", None)
    if isinstance(trouble, tuple) and trouble[0] is not None:
        event["error"] = trouble[0].__name__
    return event
