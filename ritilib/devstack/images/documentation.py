"""Asterisk's documentation, cut to what it asks for at its start: which options and names exist."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

_OPTIONS = {"configFile", "configObject", "configOption"}


def cut_documentation(whole: Path) -> bytes:
    """The XML without its prose: the options of configInfo, and the bare names of all else.

    Asterisk refuses to start without the options, and warns about each name of a function, an application
    or a manager action that is missing. With the whole file a PBX took 53 MB of memory instead of 22, and
    0.95 s to be ready instead of 0.42 (measured, Asterisk 22.10.1).
    """
    docs = ElementTree.parse(whole).getroot()
    _strip(docs, {section.tag for section in docs} - {"module"})
    for section in docs:
        _strip_options(section)
        if len(section) == 0:
            # an element without a child counts as missing
            section.append(ElementTree.Element("synopsis"))
    return bytes(ElementTree.tostring(docs, encoding="UTF-8", xml_declaration=True))


def _strip_options(element: ElementTree.Element) -> None:
    _strip(element, _OPTIONS)
    for child in element:
        _strip_options(child)


def _strip(element: ElementTree.Element, kept: set[str]) -> None:
    """Leave only the children of these kinds, and no text between them."""
    element.text = element.tail = None
    for child in list(element):
        if child.tag not in kept:
            element.remove(child)
