"""What goes along with an image: the bundle's manifest, RAUC's settings, the bill of materials."""

from __future__ import annotations

import configparser
import json

from boxos.bill import Component, list_debian, write_bill
from boxos.board import find_board
from boxos.layout import LABELS, MEBIBYTE, Sizes, plan_disk
from boxos.manifest import BOOT_IMAGE, ROOT_IMAGE, Payload, name_day, write_manifest, write_system
from tests.boxos.values import VIRT, make_package

PAYLOAD = Payload({BOOT_IMAGE: ("a" * 64, 7), ROOT_IMAGE: ("b" * 64, 9)}, "c" * 64, "d" * 64, 4096)


def read(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return parser


def test_a_bundle_is_of_one_board_and_verified_piece_by_piece() -> None:
    said = read(write_manifest(VIRT, name_day(1793347681), PAYLOAD))
    assert said["update"]["compatible"] == read(write_system(VIRT))["system"]["compatible"]
    assert said["update"]["version"] == "1.2.3" and said["bundle"]["format"] == "verity"
    assert said["update"]["compatible"] != find_board("pi4").compatible
    assert said["update"]["build"] == "20261030" and said["bundle"]["verity-size"] == "4096"
    root = {"sha256": "b" * 64, "size": "9", "filename": ROOT_IMAGE, "adaptive": "block-hash-index"}
    assert dict(said["image.root"]) == root
    assert said["image.boot"]["adaptive"] == "block-hash-index"


def test_the_box_has_a_place_for_indexes_without_which_every_bundle_is_taken_whole() -> None:
    assert read(write_system(VIRT))["system"]["data-directory"] == "/data/rauc"


def test_each_slot_is_a_boot_partition_and_its_root() -> None:
    said = read(write_system(VIRT))
    devices = [said[f"slot.{kind}.{index}"]["device"] for kind in ("boot", "root") for index in (0, 1)]
    assert devices == [f"/dev/disk/by-partlabel/{LABELS[number]}" for number in (2, 3, 4, 5)]
    assert [said[f"slot.root.{index}"]["parent"] for index in (0, 1)] == ["boot.0", "boot.1"]
    assert [said[f"slot.boot.{index}"]["bootname"] for index in (0, 1)] == ["A", "B"]
    assert said["system"]["bundle-formats"] == "verity"


def test_what_is_older_than_the_image_is_refused() -> None:
    assert read(write_system(VIRT))["system"]["min-bundle-version"] == VIRT.version


def test_an_image_of_any_lock_finds_the_partitions_of_a_card_of_any_other() -> None:
    cards = [plan_disk(seed, Sizes(), MEBIBYTE, MEBIBYTE) for seed in ("one lock", "another")]
    uuids = [one.uuid for card in cards for one in card.partitions]
    assert len(set(uuids)) == len(uuids)
    assert not [uuid for uuid in uuids if uuid in write_system(VIRT)]


def test_the_bill_lists_all_and_is_the_same_in_any_order() -> None:
    debian = list_debian([make_package("bash", "1:5.3+x-4"), make_package("apr")], "forky", "arm64")
    wheel = Component("click", "8.5.1", "pkg:pypi/click@8.5.1", "")
    text = write_bill(VIRT, "seed", 1790000000, [*debian, wheel])
    assert text == write_bill(VIRT, "seed", 1790000000, [wheel, *reversed(debian)])
    bill = json.loads(text)
    assert bill["bomFormat"] == "CycloneDX" and bill["metadata"]["timestamp"] == "2026-09-21T14:13:20Z"
    assert [one["purl"] for one in bill["components"]] == [
        "pkg:deb/debian/apr@1.0-1?arch=arm64&distro=forky",
        "pkg:deb/debian/bash@1%3A5.3%2Bx-4?arch=arm64&distro=forky",
        "pkg:pypi/click@8.5.1",
    ]
    assert bill["components"][0]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert "hashes" not in bill["components"][2]
