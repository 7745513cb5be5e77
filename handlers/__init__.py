"""What the account says: one file, one feature, one router; here they are put in the order they are asked."""

from bot.router import Router
from handlers import (
    assistant,
    checkin,
    delivery_reports,
    fallback,
    handoff,
    keywords,
    location,
    menu,
    preferences,
    scan,
    unsubscribe,
    watched,
    welcome,
)

ROUTERS: list[Router] = [
    watched.router,
    welcome.router,
    scan.router,
    unsubscribe.router,
    delivery_reports.router,
    handoff.router,
    preferences.router,
    checkin.router,
    menu.router,
    keywords.router,
    assistant.router,
    location.router,
    fallback.router,
]
