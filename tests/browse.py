"""Chromium without a window, driven by Selenium, and what a reader does with it. No network: a page is a file."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

EVIL = "<script>alert(1)</script>"
"""A name from outside that would act if it were not text."""


def missing(reason: str) -> NoReturn:
    """On a user's machine a skip with its reason, in CI a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def tool(*names: str) -> str:
    """Path of the first of these programs that is there."""
    for path in map(shutil.which, names):
        if path is not None:
            return path
    missing(f"no {names[0]} here (Debian: apt-get install chromium chromium-driver)")


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser of its own."""
    program, driver_path = tool("chromium", "chromium-browser", "google-chrome"), tool("chromedriver")
    if importlib.util.find_spec("selenium") is None:
        missing("no selenium here (pip install selenium)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    home = tempfile.mkdtemp(prefix="chromium")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless=new",
        "--no-sandbox",  # as root, in a container, there is none; the page is our own
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-default-apps",
        f"--user-data-dir={home}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    driver.set_script_timeout(110)  # Selenium itself waits for 120 s
    try:
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(home, ignore_errors=True)


def show(browser: Any, page: Path, *, width: int = 1280, dark: bool = False, script: bool = True) -> None:
    """Open `page` anew, as a reader with such a screen would."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen", "features": [scheme]})
    browser.get("about:blank")  # from here on the page before asks for nothing and says nothing
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.as_uri())
    # The page's own script has had its chance; ours may run.
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def requests(browser: Any) -> list[str]:
    """Addresses that the page has asked for since `show`."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def texts(browser: Any, selector: str) -> list[str]:
    """What can be read in all elements that are displayed."""
    script = (
        "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).map(e => e.textContent)"
    )
    return [str(text) for text in browser.execute_script(script, selector)]


def axe(browser: Any, rules: str = "") -> list[dict[str, Any]]:
    """Faults of the page that axe-core calls serious or critical; of one rule, or of all."""
    found = importlib.util.find_spec("axe_core_python")
    if found is None or not found.submodule_search_locations:
        missing("no axe-core here (pip install axe-core-python)")
    source = (Path(found.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")
    browser.execute_script(source)
    result = browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document, {resultTypes: ['violations'], ...(arguments[0] ? {runOnly: [arguments[0]]} : {})})"
        ".then(r => done(r.violations), e => done(String(e)))",
        rules,
    )
    assert isinstance(result, list), result
    return [
        {"id": item["id"], "where": [node["target"] for node in item["nodes"]][:5]}
        for item in result
        if item["impact"] in ("serious", "critical")
    ]
