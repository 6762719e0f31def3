"""A headless Chromium spoken to over its debugging pipe: keys, sizes, media and pages printed, with nothing but the standard library."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

CHROMIUM = next((found for found in (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")) if found), None)
PATIENCE = 60
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage", "--no-first-run")


class Browser:
    """One page. ``evaluate`` runs JavaScript in it and hands back plain values."""

    def __init__(self, profile: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()

        def place() -> None:  # the browser reads descriptor 3 and writes 4
            read, write = os.dup(to_read), os.dup(to_write)
            os.dup2(read, 3)
            os.dup2(write, 4)

        command = [str(CHROMIUM), *_OPTIONS, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(command, preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self._buffer, self._number, self._session = b"", 0, ""
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self("Page.enable")

    def __call__(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters} | ({"sessionId": self._session} if self._session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a file and wait until it is there; from another page, since a fragment of the same one loads nothing."""
        for url in ("about:blank", path.resolve().as_uri() + fragment):
            self("Page.navigate", url=url)
            while self._next().get("method") != "Page.loadEventFired":
                pass

    def evaluate(self, code: str) -> Any:
        """The value of an expression."""
        result = self("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def press(self, key: str, *, shift: bool = False) -> None:
        """A key with its default action, as from a keyboard."""
        codes = {"Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " ")}
        number, text = codes.get(key, (ord(key[0].upper()), key))
        facts = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": number, "modifiers": 8 if shift else 0}
        self("Input.dispatchKeyEvent", type="keyDown", **facts, **({"text": text} if text else {}))
        self("Input.dispatchKeyEvent", type="keyUp", **facts)

    def size(self, width: int, height: int = 800) -> None:
        """The width of the window, below what a desktop would allow."""
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def media(self, name: str) -> None:
        """``print`` or ``screen``."""
        self("Emulation.setEmulatedMedia", media=name)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """A screenshot."""
        path.write_bytes(base64.b64decode(self("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]))

    def pdf(self) -> bytes:
        """The page as it would be printed."""
        return base64.b64decode(self("Page.printToPDF", preferCSSPageSize=True)["data"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert select.select([self._read], [], [], PATIENCE)[0], f"the browser has said nothing for {PATIENCE} seconds"
            read = os.read(self._read, 1 << 20)
            assert read, "the browser has gone"
            self._buffer += read
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)
