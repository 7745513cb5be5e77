"""A real Chromium for tests of pages."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Playwright, async_playwright

from kit.clock import ManualClock
from tests.browser.club import Club, Hand, open_club

STATIC = Path(__file__).parents[2] / "web" / "static"
DEBIAN = Path("/usr/bin/chromium")
# Chromium must not look for updates or anything else outside this machine.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def _executable(playwright: Playwright) -> Path:
    """FENSI_CHROMIUM, Debian's Chromium or the one that Playwright installed; skips where there is none."""
    if named := os.environ.get("FENSI_CHROMIUM"):
        return Path(named)  # a wrong name should fail loudly, not skip
    for found in (DEBIAN, Path(playwright.chromium.executable_path)):
        if found.exists():
            return found
    pytest.skip("no Chromium: set FENSI_CHROMIUM, or run `make setup` on a machine that can install it")


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """A running Chromium; skips with a sentence where there is none."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_executable(playwright), args=list(QUIET))
        yield browser
        await browser.close()


@pytest.fixture
def phone_pages() -> Path:
    """The folder of the built phone page; skips with a sentence where it was not built."""
    folder = STATIC / "phone"
    if not (folder / "index.html").is_file():
        pytest.skip("the phone page is not built: run `npm ci && npm run build` in frontend/, or `make setup`")
    return folder


@pytest.fixture
async def club(database_url: str, clock: ManualClock, phone_pages: Path) -> AsyncIterator[Club]:
    """A brand at work, with a simulated WeChat."""
    async with open_club(database_url, clock, phone_pages) as found:
        yield found


@pytest.fixture
async def hand(chromium: Browser, club: Club) -> AsyncIterator[Hand]:
    """The phone's page, opened as a newcomer does; at the end it must have logged no error."""
    context = await chromium.new_context(viewport={"width": 1360, "height": 920}, locale="zh-CN")
    page = await context.new_page()
    page.set_default_timeout(10_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(f"{club.wechat.url}/phone/")
    yield Hand(page, club)
    await context.close()
    assert errors == []
