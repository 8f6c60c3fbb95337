"""The page in a real browser: figures are there, legible in both themes, and nothing is fetched."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from reported import FIGURES

pytest.importorskip("matplotlib")
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
if BROWSER is None:
    pytest.skip(
        "no Chromium is installed (Debian: apt-get install chromium)", allow_module_level=True
    )

PHONE = 360
# Opens each page in a frame of a phone's width, and writes down what stands there.
WATCHER = """<!DOCTYPE html>
<html lang="en"><head><meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,"></head><body><pre id="found"></pre><script>
const found = {};
async function look(name) {
  const frame = document.createElement("iframe");
  frame.style = "width: %(width)spx; height: 800px; border: 0";
  frame.src = name;
  await new Promise((done) => { frame.onload = done; document.body.append(frame); });
  const page = frame.contentDocument, view = frame.contentWindow;
  const style = (element) => view.getComputedStyle(element);
  found[name] = {
    title: page.title,
    paper: style(page.body).backgroundColor,
    ink: style(page.body).color,
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    scripts: view.alerted === true,
    fetched: view.performance.getEntriesByType("resource").map((entry) => entry.name),
    tables: [...page.querySelectorAll("table")].map((table) => table.rows.length),
    figures: [...page.querySelectorAll("svg")].map((svg) => {
      const box = svg.getBoundingClientRect();
      const marks = [...svg.querySelectorAll("path, use")]
        .map((mark) => mark.getBoundingClientRect());
      const words = [...svg.querySelectorAll("text")];
      return {
        width: box.width,
        height: box.height,
        marks: marks.filter((mark) => mark.width + mark.height > 0).length,
        words: words.map((word) => word.textContent),
        sizes: words.map((word) => word.getBoundingClientRect().height),
        colours: [...new Set(words.map((word) => style(word).fill))],
      };
    }),
  };
}
(async () => {
  for (const name of %(names)s) await look(name);
  document.getElementById("found").textContent = JSON.stringify(found);
})();
</script></body></html>
"""


@dataclass(frozen=True)
class Seen:
    """What a browser made of the pages.

    Attributes:
        pages: by path, what stood there.
        requests: every path that the browser requested.
    """

    pages: dict[str, Any]
    requests: list[str]


@pytest.fixture(scope="module", params=["light", "dark"])
def seen(request: pytest.FixtureRequest, html: str) -> Seen:
    """The report; the same with a picture and a script; and that without the page's own policy."""
    extra = '<main><img src="/leak-{}.png" alt=""><script>window.alerted = true</script>'
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    pages = {
        "/report.html": html,
        "/guarded.html": html.replace("<main>", extra.format("guarded")),
        "/leaky.html": policy.sub("", html.replace("<main>", extra.format("leaky"))),
    }
    served = {"/": WATCHER % {"width": PHONE, "names": json.dumps(list(pages))}, **pages}
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_response(200 if self.path in served else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(served.get(self.path, "").encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            text = dump(f"http://127.0.0.1:{server.server_port}/", dark=request.param == "dark")
        finally:
            server.shutdown()
            thread.join()
    found = re.search(r'<pre id="found">(.*?)</pre>', text, flags=re.DOTALL)
    assert found, text[:2000]
    return Seen(json.loads(unescape(found[1])), requests)


def dump(address: str, *, dark: bool) -> str:
    """Return the page's document after its script has run."""
    options = (
        "headless no-sandbox disable-gpu disable-dev-shm-usage disable-quic no-first-run "
        "disable-background-networking disable-component-update disable-sync dump-dom "
        f"virtual-time-budget=60000 blink-settings=preferredColorScheme={0 if dark else 1}"
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        done = subprocess.run(
            [
                str(BROWSER),
                *(f"--{option}" for option in options.split()),
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                f"--user-data-dir={profile}",
                address,
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_every_figure_is_drawn(seen: Seen) -> None:
    page = seen.pages["/report.html"]
    assert page["title"] == "mlp-001, evil"
    assert len(page["figures"]) == len(FIGURES)
    for figure in page["figures"]:
        assert figure["width"] > 0.9 * PHONE - 40
        assert figure["height"] > 100
        assert figure["marks"] > 20
        assert len(figure["words"]) > 5
        # Words can be read on a phone, where a wide figure scrolls.
        assert min(figure["sizes"]) > 7
    assert min(page["tables"]) > 1


def test_nothing_is_fetched(seen: Seen) -> None:
    assert seen.pages["/report.html"]["fetched"] == []
    allowed = [path for path in seen.requests if "leaky" not in path]
    assert allowed == ["/", "/report.html", "/guarded.html"]


def test_what_would_be_fetched_is_noticed(seen: Seen) -> None:
    """What makes the check a check; and the page's own policy stops what would slip in."""
    leaky, guarded = seen.pages["/leaky.html"], seen.pages["/guarded.html"]
    assert "/leak-leaky.png" in seen.requests
    assert [name.rpartition("/")[2] for name in leaky["fetched"]] == ["leak-leaky.png"]
    assert leaky["scripts"]
    assert not guarded["scripts"]


def test_the_page_does_not_scroll_sideways_on_a_phone(seen: Seen) -> None:
    assert seen.pages["/report.html"]["overflow"] <= 0


def luminance(colour: str) -> float:
    """WCAG 2's relative luminance of `rgb(r, g, b)`."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_words_stand_out_in_both_themes(seen: Seen, request: pytest.FixtureRequest) -> None:
    page = seen.pages["/report.html"]
    dark = "dark" in request.node.callspec.id
    assert (luminance(page["paper"]) < 0.1) == dark
    for colour in [page["ink"], *(c for figure in page["figures"] for c in figure["colours"])]:
        assert contrast(colour, page["paper"]) >= 4.5, colour
