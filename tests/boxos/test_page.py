"""The page as systemd starts it: on a socket that it is given, for as long as somebody asks."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

_START = """
import os, sys
from pathlib import Path
os.dup2(int(sys.argv[1]), 3)
from onbox import page
page.SAID, page.Served.timeout = Path(sys.argv[2]), 1.0
page.main()
"""
BOX_OS = Path(__file__).parents[2] / "box-os"


def test_it_is_served_on_the_socket_that_it_is_given_and_ends_when_nobody_asks(tmp_path: Path) -> None:
    said = {"code": "no-cable", "blinks": 2, "words": "There is no cable.", "mend": "Look.", "rescued": 0}
    (tmp_path / "status.json").write_text(json.dumps(said))
    with socket.create_server(("127.0.0.1", 0)) as given:
        address = f"http://127.0.0.1:{given.getsockname()[1]}"
        words = [sys.executable, "-c", _START, str(given.fileno()), str(tmp_path / "status.json")]
        with subprocess.Popen(words, pass_fds=[given.fileno()], env={"PYTHONPATH": str(BOX_OS)}) as page:
            with urllib.request.urlopen(f"{address}/", timeout=20) as answer:
                shown = answer.read().decode()
                assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert "There is no cable." in shown and "blinks 2 times" in shown
            with urllib.request.urlopen(f"{address}/status.json", timeout=20) as answer:
                assert json.load(answer) == said
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"{address}/etc/passwd", timeout=20)
            assert page.wait(20) == 0
