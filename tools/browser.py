"""Look at the built documentation with a browser: everything fits, search finds, nothing fails.

Usage: python tools/browser.py docs/_build/html [--require] [--screens FOLDER [--only TEXT]]

Every page is opened in Chromium at 1440 and at 390 pixels. The page must not scroll sideways; at
1440 pixels no code, table or formula may do so either, nor the columns at the sides. The console
must be without errors, nothing may be fetched from elsewhere, and the search must find WORDS.
Needs Chromium, chromedriver and selenium; without them it says so and ends with 0, unless
--require is given. With --screens it only writes pictures of pages, light and dark.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

WIDTHS = (1440, 390)
HEIGHTS = {1440: 900, 390: 844}
# What a reader would search for, and the beginning of the address of a page that must be found.
WORDS = {
    "save": "guide/deploy",
    "pandas": "guide/deploy",
    "deploy": "guide/deploy",
    "progress": "start",
}

# What is wider than its box; what a page scrolls by; what else than this server was asked.
_MEASURE = r"""
const wide = [];
const root = document.documentElement;
const told = (e, by) => `${e.tagName}.${e.className}, by ${Math.round(by)}: `
  + e.textContent.trim().replace(/\s+/g, ' ').slice(0, 80);
if (root.scrollWidth > root.clientWidth)
  wide.push('the page, by ' + (root.scrollWidth - root.clientWidth));
const article = document.querySelector('.bd-article-container');
const scrolls = e => e && e !== document.body && e !== article
  && (['auto', 'scroll'].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
for (const e of document.querySelectorAll('main *')) {
  const box = e.getBoundingClientRect();
  if (box.width && box.right > root.clientWidth + 1 && !scrolls(e)) {
    wide.push(told(e, box.right - root.clientWidth));
    break;
  }
}
if (arguments[0]) {
  const inner = 'pre, .pst-scrollable-table-container, .formula, .bd-sidebar-secondary, '
    + '.bd-sidebar-primary, .bd-header, math, .flow p';
  for (const e of document.querySelectorAll(inner))
    if (e.clientWidth && e.scrollWidth > e.clientWidth + 1)
      wide.push(told(e, e.scrollWidth - e.clientWidth));
}
return wide;
"""
_ELSEWHERE = """
return performance.getEntriesByType('resource').map(e => e.name)
  .filter(name => !name.startsWith(location.origin) && !name.startsWith('data:'));
"""


def serve(folder: Path) -> http.server.ThreadingHTTPServer:
    """A server of the folder, in a thread."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def start_browser(profile: str) -> Any:
    """Chromium without a window, or None where there is none."""
    program = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if find_spec("selenium") is None or program is None:
        return None
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
        "disable-background-networking", "disable-component-update", "disable-sync",
        "hide-scrollbars", f"user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = shutil.which("chromedriver")
    service = webdriver.ChromeService(executable_path=driver) if driver else None
    return webdriver.Chrome(options=options, service=service)


def resize(browser: Any, width: int, height: int | None = None) -> None:
    """Width of the page in CSS pixels."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height or HEIGHTS[width], "deviceScaleFactor": 1,
         "mobile": False},
    )  # fmt: skip


def check_page(browser: Any, address: str) -> list[str]:
    """What is wrong with a page."""
    wrong = []
    for width in WIDTHS:
        resize(browser, width)
        if width == WIDTHS[0]:
            browser.get(address)
            browser.execute_async_script("document.fonts.ready.then(arguments[0])")
        wrong += [f"{width}: {text}" for text in browser.execute_script(_MEASURE, width > 1000)]
    wrong += [f"asks {name}" for name in browser.execute_script(_ELSEWHERE)]
    log = browser.get_log("browser")
    return wrong + [entry["message"] for entry in log if entry["level"] == "SEVERE"]


def check_search(browser: Any, base: str, word: str, expected: str) -> list[str]:
    """Whether the page's own search finds a word, and among others the expected page."""
    browser.get(f"{base}/search.html?q={quote(word)}")
    found: list[str] = []
    for _ in range(50):
        time.sleep(0.1)
        found = browser.execute_script(
            "return [...document.querySelectorAll('#search-results li a')].map(a => a.pathname)"
        )
        if any(path.startswith(f"/{expected}") for path in found):
            return []
    return [f"search for {word!r}: {len(found)} pages, none of them {expected}"]


def take_screens(browser: Any, base: str, names: list[str], folder: Path) -> None:
    """Pictures of whole pages, at each width, light and dark."""
    import base64

    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        for mode in ("light", "dark"):
            for width in WIDTHS:
                resize(browser, width)
                browser.get(f"{base}/{name}")
                browser.execute_script(
                    "localStorage.setItem('mode', arguments[0]);"
                    "localStorage.setItem('theme', arguments[0])",
                    mode,
                )
                browser.get(f"{base}/{name}")
                browser.execute_async_script("document.fonts.ready.then(arguments[0])")
                height = browser.execute_script("return document.documentElement.scrollHeight")
                resize(browser, width, min(height, 6000))
                time.sleep(0.2)
                shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
                stem = name.removesuffix(".html").replace("/", "-")
                target = folder / f"{stem}-{width}-{mode}.png"
                target.write_bytes(base64.b64decode(shot["data"]))
                print(target)


def main() -> int:
    """Check all pages, or take pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the built pages")
    parser.add_argument("--require", action="store_true", help="fail where there is no browser")
    parser.add_argument("--screens", type=Path, help="write pictures of pages to this folder")
    parser.add_argument("--only", default="", help="pages whose address contains this")
    options = parser.parse_args()
    names = sorted(str(p.relative_to(options.folder)) for p in options.folder.rglob("*.html"))
    names = [name for name in names if options.only in name and "_static" not in name]
    if not names:
        sys.exit(f"no pages in {options.folder}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = start_browser(profile)
        if browser is None:
            print("left out: no Chromium with chromedriver, or no selenium")
            return int(options.require)
        server = serve(options.folder)
        base = f"http://127.0.0.1:{server.server_port}"
        try:
            if options.screens:
                take_screens(browser, base, names, options.screens)
                return 0
            wrong = {}
            for name in names:
                wrong[name] = check_page(browser, f"{base}/{name}")
            if not options.only:
                for word, expected in WORDS.items():
                    wrong[f"search {word}"] = check_search(browser, base, word, expected)
        finally:
            browser.quit()
            server.shutdown()
    bad = {name: texts for name, texts in wrong.items() if texts}
    for name, texts in bad.items():
        print(name, *texts, sep="\n   ")
    print(f"{len(names)} pages at {' and '.join(map(str, WIDTHS))} pixels, {len(bad)} with faults")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
