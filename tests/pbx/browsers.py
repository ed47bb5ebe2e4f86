"""Agents at their screens: Debian's Chromium, a profile each, that fails on what no page of ours may do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from tests.tools import needs

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# The browser's words for a server that is away, and htmx's own ("Failed to fetch").
OF_THE_NETWORK = ("net::ERR_", "WebSocket connection", "of 503", "Failed to fetch")
TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    path = needs("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def screen(
    browser: Browser, url: str, login: str, password: str, *, is_server_stopped: bool = False
) -> AsyncIterator[Page]:
    """Somebody signed in at a desktop; the end checks that the page complained of nothing.

    Args:
        is_server_stopped: the server or its database goes away meanwhile, which the browser itself reports as an error.
    """
    context = await browser.new_context(locale="ru-RU", viewport={"width": 1440, "height": 900})
    complaints: list[str] = []
    await context.add_init_script(TELL_VIOLATIONS)
    page = await context.new_page()
    page.on("console", lambda message: complaints.extend(_errors(message, is_server_stopped)))
    page.on("pageerror", lambda error: complaints.append(f"page error: {error.stack or error}"))
    try:
        await page.goto(f"{url}/sign-in")
        await page.locator("#login").fill(login)
        await page.locator("#password").fill(password)
        await page.get_by_role("button", name="Войти").click()
        await page.wait_for_url(lambda address: "/sign-in" not in address)
        yield page
        assert not complaints, "\n".join(complaints)
    finally:
        await context.close()


def _errors(message: ConsoleMessage, is_server_stopped: bool) -> list[str]:
    is_of_the_network = any(part in message.text for part in OF_THE_NETWORK)
    if message.type != "error" or (is_server_stopped and is_of_the_network):
        return []
    return [f"{message.text} ({message.location['url']})"]
