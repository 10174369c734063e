"""VMs that export storage to their own pool, as rota.toml says them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared import settings

POOL = '[pool.lab]\nurl = "https://192.0.2.10"\n'
FILER = '[[pool.lab.storage_vm]]\nvm = "filer-1"\nsr = "Depot 1"\nhost = "host-1"\n'


def read(folder: Path, text: str) -> settings.Settings:
    """The settings of a file with one pool and more."""
    file = folder / "rota.toml"
    file.write_text(POOL + text)
    return settings.read(file, {})


def test_each_is_a_table_of_its_own(tmp_path: Path) -> None:
    """In the order of the file."""
    found = read(tmp_path, FILER + FILER.replace("1", "2")).pool["lab"].storage_vm
    assert [(one.vm, one.sr, one.host) for one in found] == [
        ("filer-1", "Depot 1", "host-1"),
        ("filer-2", "Depot 2", "host-2"),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (FILER + FILER.replace("filer-1", "filer-2"), "'Depot 1' is served by 'filer-1' and again by 'filer-2'"),
        (FILER.replace('host = "host-1"\n', ""), r"pool\.lab\.storage_vm\.0\.host: Field required"),
        (FILER.replace('"filer-1"', '""'), r"pool\.lab\.storage_vm\.0\.vm: String should have at least 1 character"),
        (FILER + "port = 2049\n", r"pool\.lab\.storage_vm\.0\.port: Extra inputs"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, sentence: str) -> None:
    """Before the first night."""
    with pytest.raises(settings.SettingsError, match=sentence):
        read(tmp_path, text)
