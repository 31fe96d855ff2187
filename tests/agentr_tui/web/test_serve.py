"""`agentr serve` over real HTTP: the link works once, nothing is answered without it, and the app runs behind it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

aiohttp = pytest.importorskip("aiohttp", reason="the extra `serve` is not installed")
pytest.importorskip("textual_serve", reason="the extra `serve` is not installed")

from textual.messages import ExitApp  # noqa: E402

from agentr_tui.cli.browser_app import BrowserApp  # noqa: E402
from agentr_tui.cli.main import run  # noqa: E402
from agentr_tui.state.session import Session  # noqa: E402
from agentr_tui.web.browser_process import MAX_HEIGHT, MAX_WIDTH, clamped  # noqa: E402
from agentr_tui.web.server import is_loopback  # noqa: E402
from engine.search.job import new_job  # noqa: E402
from engine.trace.trace_file import load  # noqa: E402
from engine.tree.events import SearchSettings  # noqa: E402
from tests.agentr_tui.apps import opened, searched  # noqa: E402

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
PATIENCE = 30.0


class Served:
    """A server that was started as a person starts it."""

    def __init__(self, process: subprocess.Popen[str], link: str) -> None:
        self.process, self.link = process, link
        self.base = link.partition("?")[0]


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[Served]:
    """`agentr serve` on a free port; ended by ctrl+c."""
    process = subprocess.Popen(
        [sys.executable, "-m", "agentr_tui", "serve", "--port", "0", "--workspace", str(folder / "w"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    said = ""
    try:
        while "?token=" not in said:
            line = process.stdout.readline()
            assert line, f"the server ended: {said}"
            said = line
        yield Served(process, said.strip())
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        finally:
            process.kill()
            process.stdout.close()


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return searched(opened(tmp_path / "w"), iterations=3)


@asynccontextmanager
async def browser() -> AsyncIterator[Any]:
    """Something with cookies, also for addresses that are numbers."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    for _ in range(int(PATIENCE / 0.1)):
        if holds():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it did not come")


async def status(session: Any, url: str, **more: Any) -> int:
    async with session.get(url, **more) as answer:
        return int(answer.status)


# -- who is let in -----------------------------------------------------------------------------------------


async def test_nothing_is_answered_without_the_token_and_the_link_works_once(trace: Path, tmp_path: Path) -> None:
    with serving(tmp_path, str(trace)) as served:
        async with browser() as stranger, browser() as person, browser() as thief:
            for path in ("", "static/js/textual.js", "static/", "download/x", "nowhere", "?token=wrong", "?token="):
                assert await status(stranger, served.base + path) == 403
            async with stranger.head(served.link) as answer:
                assert answer.status == 403, "a look at the link must not use it up"
            async with person.get(served.link) as answer:
                assert answer.status == 200
                assert "token" not in str(answer.url)
                assert "textual-terminal" in await answer.text()
                assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert await status(person, served.base) == 200
            assert await status(person, served.base + "static/js/textual.js") == 200
            assert await status(person, served.link) == 200, "who is known may use the link again"
            assert await status(thief, served.link) == 403
            assert await status(stranger, served.base) == 403
            (cookie,) = person.cookie_jar
            assert cookie["httponly"]
            assert cookie["samesite"] == "Lax"
            assert cookie.value not in served.link


async def test_the_websocket_needs_the_cookie_and_an_origin_of_our_own(trace: Path, tmp_path: Path) -> None:
    with serving(tmp_path, str(trace)) as served:
        async with browser() as stranger, browser() as person:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await stranger.ws_connect(served.base + "ws")
            assert refused.value.status == 403
            assert await status(person, served.link) == 200
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await person.ws_connect(served.base + "ws", headers={"Origin": "http://evil.example"})
            assert refused.value.status == 403


async def test_other_names_for_this_machine_are_refused_but_a_forwarded_port_is_not(
    trace: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, str(trace)) as served:
        async with browser() as session:
            assert await status(session, served.link, headers={"Host": "evil.example"}) == 403
            async with session.get(served.link, headers={"Host": "localhost:9"}, allow_redirects=False) as answer:
                assert answer.status == 303, "the name of a port that was forwarded over SSH"
                cookie = answer.headers["Set-Cookie"].partition(";")[0]
            async with session.get(served.base, headers={"Host": "localhost:9", "Cookie": cookie}) as answer:
                assert 'url="ws://localhost:9/ws"' in await answer.text()


def test_addresses_of_this_machine_are_told_from_others() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.evil.example")))


# -- the command -------------------------------------------------------------------------------------------


def test_another_address_needs_a_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--host", "0.0.0.0", "--workspace", str(tmp_path / "w")]) == 2
    said = capsys.readouterr().err
    assert "--allow-remote" in said
    assert said.count("\n") == 1


def test_another_address_with_the_flag_warns(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0", "--allow-remote") as served:
        assert "0.0.0.0" not in served.link
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(60) == 130
    process = subprocess.run(
        [sys.executable, "-c",
         "import sys; from agentr_tui.web import server; server.run = lambda *a: None\n"
         "from agentr_tui.cli.main import main; main(sys.argv[1:])",
         "serve", "--host", "0.0.0.0", "--port", "0", "--allow-remote", "--workspace", str(tmp_path / "w")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "unencrypted" in process.stderr


def test_bad_calls_are_one_line_with_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = ["--workspace", str(tmp_path / "w")]
    assert run(["serve", str(tmp_path / "nothing"), *workspace]) == 2
    assert "no such file" in capsys.readouterr().err
    assert run(["serve", "--port", "99999", *workspace]) == 2
    assert "65535" in capsys.readouterr().err
    assert run(["serve", "--host", "192.0.2.1", "--allow-remote", *workspace]) == 2
    assert "choose another --port or --host" in capsys.readouterr().err


def test_a_port_that_is_taken_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path) as served:
        port = urlsplit(served.link).port
        assert run(["serve", "--port", str(port), "--workspace", str(tmp_path / "w")]) == 2
    assert f"127.0.0.1:{port}" in capsys.readouterr().err


def test_without_the_extra_the_command_says_how_to_get_it(tmp_path: Path) -> None:
    hidden = (
        "import importlib.util as util, sys\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name == 'textual_serve' else find(name, *a)\n"
        "from agentr_tui.cli.main import main; main(['serve'])"
    )
    called = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert called.returncode == 2
    assert called.stderr == "agentr: agentr serve needs textual-serve: pip install 'agentr-tui[serve]'\n"


# -- the app behind it ---------------------------------------------------------------------------------------


async def screen_text(socket: Any, holds: str) -> str:
    """What the app sends until that is among it."""
    said = ""
    async with asyncio.timeout(PATIENCE):
        async for message in socket:
            if message.type == aiohttp.WSMsgType.BINARY:
                said += str(message.data, "utf-8", "replace")
                if holds in said:
                    return said
    raise AssertionError(f"it never said {holds!r}")


async def test_the_app_runs_behind_the_websocket_and_takes_keys(trace: Path, tmp_path: Path) -> None:
    with serving(tmp_path, str(trace), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0") as served:
        async with browser() as person:
            await status(person, served.link)
            async with person.ws_connect(served.base + "ws?width=120&height=36") as socket:
                said = await screen_text(socket, "event 204 of 204")
                assert "Crafting commands" in said
                assert "▁" in said, "a browser shows every glyph, whatever the locale here is"
                await socket.send_json(["stdin", "?"])
                await screen_text(socket, "keys here")


async def test_a_search_that_runs_in_a_browser_is_stopped_cleanly_when_the_browser_goes(tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    path = workspace.traces / "live.trace.jsonl"
    session = Session(workspace)
    settings = SearchSettings(iterations=1_000, error_rate=0.5)
    session.start(lambda listener: new_job("textcraft", "2", settings, path, listener=listener, delay=0.02))
    app = BrowserApp(session, "search")
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause(0.5)
        assert session.running
        app.post_message(ExitApp())
        await until(lambda: not session.running)
    tree = load(path).tree
    assert (tree.state, tree.end_reason) == ("stopped", "stopped")


# -- what a browser may send, and how its app ends --------------------------------------------------------------


def app_of(served: Served) -> int:
    """The process of the app that the server started."""
    children = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children").read_text().split()
    assert len(children) == 1, children
    return int(children[0])


def is_there(process: int) -> bool:
    """Whether it has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_sizes_are_kept_within_bounds(trace: Path, tmp_path: Path) -> None:
    with serving(tmp_path, str(trace)) as served:
        async with browser() as person:
            await status(person, served.link)
            huge = "ws?width=100000000&height=100000000"
            async with person.ws_connect(served.base + huge, max_msg_size=0) as socket:
                await screen_text(socket, "event 204 of 204")
                await socket.send_json(["resize", {"width": 10**8, "height": 10**8}])
                await socket.send_json(["resize", {"width": -5, "height": 0}])
                await socket.send_json(["resize", {"width": 120, "height": 36}])
                await socket.send_json(["stdin", "?"])
                await screen_text(socket, "keys here")


def test_a_size_is_two_numbers_within_bounds() -> None:
    assert clamped(120, 36) == (120, 36)
    assert clamped(10**8, 1e300) == (MAX_WIDTH, MAX_HEIGHT)
    assert clamped(-1, 0) == (2, 2)
    for garbage in ("120", None, [3], float("nan")):
        with pytest.raises(ValueError, match="a size is two numbers"):
            clamped(garbage, 36)


GARBAGE = [
    "", "nonsense", "{}", "[]", "3", "[3]", '["resize"]', '["resize", {"width": "x", "height": 1}]', '["stdin", 3]',
    '["resize", {"width": NaN, "height": NaN}]', '["stdin"]', '["explode", {}]', "[" * 100_000, "9" * 10_000,
    '["resize", [1, 2]]',
]  # fmt: skip


async def test_garbage_is_one_line_and_the_app_goes_on(trace: Path, tmp_path: Path) -> None:
    with serving(tmp_path, str(trace)) as served:
        async with browser() as person:
            await status(person, served.link)
            async with person.ws_connect(served.base + "ws?width=120&height=36") as socket:
                await screen_text(socket, "event 204 of 204")
                for garbage in GARBAGE:
                    await socket.send_str(garbage)
                await socket.send_bytes(b"\xff")
                await socket.send_json(["stdin", "?"])
                await screen_text(socket, "keys here")
        served.process.send_signal(signal.SIGINT)
        assert served.process.stdout is not None
        said = [line for line in served.process.stdout.read().splitlines() if "ctrl+c ends it" not in line]
    assert len(said) == 1, said
    assert "a browser sent what is no message" in said[0]


@pytest.mark.parametrize("hangs", [False, True])
async def test_the_app_ends_with_its_browser_by_force_if_need_be(hangs: bool, trace: Path, tmp_path: Path) -> None:
    with serving(tmp_path, str(trace)) as served:
        async with browser() as person:
            await status(person, served.link)
            async with person.ws_connect(served.base + "ws?width=120&height=36") as socket:
                await screen_text(socket, "event 204 of 204")
                app = app_of(served)
                if hangs:
                    os.kill(app, signal.SIGSTOP)
            await until(lambda: not is_there(app))


@pytest.mark.parametrize(("number", "hangs"), [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGKILL, False)])
async def test_the_app_ends_with_the_server(number: signal.Signals, hangs: bool, trace: Path, tmp_path: Path) -> None:
    with serving(tmp_path, str(trace)) as served:
        async with browser() as person:
            await status(person, served.link)
            async with person.ws_connect(served.base + "ws?width=120&height=36") as socket:
                await screen_text(socket, "event 204 of 204")
                app = app_of(served)
                if hangs:
                    os.kill(app, signal.SIGSTOP)
                served.process.send_signal(number)
                await until(lambda: served.process.poll() is not None)
                await until(lambda: not is_there(app))


async def test_an_app_that_fails_is_a_line_that_names_the_log(trace: Path, tmp_path: Path) -> None:
    with serving(tmp_path, str(trace), PYTHONFAULTHANDLER="1") as served:
        async with browser() as person:
            await status(person, served.link)
            async with person.ws_connect(served.base + "ws?width=120&height=36") as socket:
                await screen_text(socket, "event 204 of 204")
                os.kill(app_of(served), signal.SIGABRT)
                async with asyncio.timeout(PATIENCE):
                    while not socket.closed:
                        await socket.receive()
        log = tmp_path / "w" / "serve.log"
        served.process.send_signal(signal.SIGINT)
        assert served.process.stdout is not None
        said = served.process.stdout.read()
    assert f"agentr: the app of a browser ended with -6: {log} says more\n" in said
    assert "Traceback" not in said
    assert "Aborted" in log.read_text()


# -- a real browser --------------------------------------------------------------------------------------------


@contextmanager
def chromium(folder: Path) -> Iterator[str]:
    """Headless Chromium; the address at which it takes commands."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: the browser itself is not tested")
    process = subprocess.Popen(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
         f"--user-data-dir={folder / 'chromium'}", "--window-size=1300,800", "about:blank"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "DevTools listening on " in line:
                yield line.partition("DevTools listening on ")[2].strip()
                return
        pytest.skip("Chromium is there but does not start: the browser itself is not tested")
    finally:
        process.terminate()
        process.wait(15)
        process.stderr.close()


class Page:
    """A page of that Chromium, spoken to in its own protocol."""

    def __init__(self, socket: Any, session: str) -> None:
        self._socket, self._session, self._count = socket, session, 0
        self.requested: list[str] = []

    async def call(self, method: str, **parameters: Any) -> Any:
        """One command and its answer."""
        self._count += 1
        await self._socket.send_json(
            {"id": self._count, "method": method, "params": parameters, "sessionId": self._session}
        )
        async with asyncio.timeout(PATIENCE):
            async for message in self._socket:
                told = json.loads(message.data)
                if told.get("method") == "Network.requestWillBeSent":
                    self.requested.append(told["params"]["request"]["url"])
                if told.get("id") == self._count:
                    assert "error" not in told, told
                    return told["result"]
        raise AssertionError("Chromium went away")

    async def run(self, script: str) -> Any:
        """The value of a script."""
        told = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return told["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until a script is true."""
        for _ in range(int(PATIENCE / 0.1)):
            if await self.run(script):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"it never came true: {script}")

    async def press(self, key: str) -> None:
        """Type one letter."""
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def picture(self) -> bytes:
        """What the page looks like, in pixels."""
        import base64

        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])


@asynccontextmanager
async def page_of(address: str, own_cookies: bool = False) -> AsyncIterator[Page]:
    """A new page; with cookies of its own as in another browser."""
    async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
        where = {"url": "about:blank"}
        if own_cookies:
            await socket.send_json({"id": 0, "method": "Target.createBrowserContext"})
            where["browserContextId"] = (await _answer(socket, 0))["browserContextId"]
        await socket.send_json({"id": 0, "method": "Target.createTarget", "params": where})
        target = await _answer(socket, 0)
        await socket.send_json(
            {"id": 0, "method": "Target.attachToTarget", "params": {"targetId": target["targetId"], "flatten": True}}
        )
        page = Page(socket, (await _answer(socket, 0))["sessionId"])
        await page.call("Network.enable")
        await page.call("Page.enable")
        yield page


async def _answer(socket: Any, number: int) -> Any:
    async for message in socket:
        told = json.loads(message.data)
        if told.get("id") == number:
            return told["result"]
    raise AssertionError("Chromium went away")


async def test_in_a_real_browser_the_link_opens_the_app_and_keys_work(trace: Path, tmp_path: Path) -> None:
    with serving(tmp_path, str(trace)) as served, chromium(tmp_path) as address:
        async with page_of(address) as page:
            await page.call("Page.navigate", url=served.link)
            await page.until("document.body !== null && document.body.classList.contains('-first-byte')")
            assert "token" not in await page.run("location.href")
            await asyncio.sleep(1.5)
            for kind in ("mousePressed", "mouseReleased"):
                await page.call("Input.dispatchMouseEvent", type=kind, x=300, y=300, button="left", clickCount=1)
            await asyncio.sleep(0.5)
            before = await page.picture()
            keep = os.environ.get("AGENTR_PICTURES")
            if keep:
                (Path(keep) / "browser.png").write_bytes(before)
            await page.press("?")
            await asyncio.sleep(1.0)
            after = await page.picture()
            assert len(before) > 20_000, "a screen full of text"
            assert after != before, "the help is open"
            if keep:
                (Path(keep) / "browser-help.png").write_bytes(after)
            fetched = {urlsplit(url).hostname for url in page.requested}
            assert fetched == {"127.0.0.1"}, "nothing is fetched from elsewhere"
        async with page_of(address, own_cookies=True) as thief:
            await thief.call("Page.navigate", url=served.link)
            await thief.until("document.body !== null && document.body.innerText.includes('works once')")
            assert "textual-terminal" not in await thief.run("document.documentElement.innerHTML")
