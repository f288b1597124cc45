"""The languages that the fleet's words land in, and how a word is written there without becoming anything else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ritilib.assets import find_assets
from ritilib.fleet.box_file import Extension

# A caller ID is `"name" <number>` in one configuration line: these would end the name, the number or the line's value.
_CALLER_ID = str.maketrans({'"': "'", "\\": "/", "<": "(", ">": ")", ";": ",", "[": "(", "]": ")"})
# res_pjsip splits it into a buffer of 80 bytes, and would cut a longer name in the middle of a character.
CALLER_ID_BYTES = 79
# HCL ends a heredoc at a line of its mark alone, whatever blanks stand around it.
_HEREDOC_END = re.compile(r"^([^\S\n]*)EOT(?=[^\S\n]*$)", re.MULTILINE)


def escape_heredoc(text: str) -> str:
    """Text for an HCL heredoc (<<EOT) that shall come out as it is: HCL would expand ${…} and %{…}.

    Line feeds at its end are left to the template. A lone carriage return has no way of being written there, and HCL
    gives Unicode in its normal form C.
    """
    escaped = text.replace("${", "$${").replace("%{", "%%{").rstrip("\n")
    return _HEREDOC_END.sub(r'\1${"EOT"}', escaped)


def write_caller_id(extension: Extension) -> str:
    """An extension's caller ID for pjsip.conf. Characters that have a meaning there are written by their likes, and
    what Asterisk has no room for (CALLER_ID_BYTES of UTF-8) is left away."""
    name = extension.name.translate(_CALLER_ID).encode()[:CALLER_ID_BYTES].decode(errors="ignore")
    return f'"{name}" <{extension.number}>'


def write_json(value: Mapping[str, Any]) -> str:
    """Indented and sorted, so that a reviewer sees one line for one change."""
    # json's own indents in Python, which was a fifth of all rendering
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"


@cache
def config_environment() -> Environment:
    """Jinja2 for Asterisk's and Nebula's files: the usual {{ … }}, which neither language has."""
    return _environment(Path(__file__).parent / "templates", {})


@cache
def job_environment() -> Environment:
    """Jinja2 for Nomad's jobs, as [[ … ]] and [% … %]: {{ … }} there belongs to Nomad's own templates."""
    marks = {
        "variable_start_string": "[[",
        "variable_end_string": "]]",
        "block_start_string": "[%",
        "block_end_string": "%]",
        "comment_start_string": "[#",
        "comment_end_string": "#]",
    }
    return _environment(find_assets("jobs"), marks)


def _environment(folder: Path, marks: dict[str, Any]) -> Environment:
    made = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=False,  # none of these languages is HTML; each word is escaped by the filter of its language
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        **marks,
    )
    made.filters["heredoc"] = escape_heredoc
    made.filters["caller_id"] = write_caller_id
    return made
