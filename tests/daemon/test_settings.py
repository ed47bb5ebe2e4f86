"""Settings: the file, the environment that wins, and errors that name the value and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from cti.daemon.settings import SettingsError, described, load_settings


def test_without_file_and_environment_the_defaults_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings({})
    assert (settings.listen, settings.region, settings.time_zone) == ("127.0.0.1:8080", "RU", "Europe/Moscow")
    assert settings.data == tmp_path / "data"
    assert settings.key_file == tmp_path / "data" / "key"
    assert settings.address == "http://localhost:8080"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "ringcard.toml"
    file.write_text('listen = "0.0.0.0:9000"\nregion = "KZ"\nstory_days = 0\n', "utf-8")
    settings = load_settings({"RINGCARD_CONFIG": str(file), "RINGCARD_LISTEN": "[::1]:9001"})
    assert (settings.host, settings.port, settings.region) == ("::1", 9001, "KZ")
    assert settings.listen == "[::1]:9001"
    assert (settings.story_days, settings.story_megabytes) == (0, 1024)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"RINGCARD_LISTEN": "8080"}, "'8080'"),
        ({"RINGCARD_LISTEN": "127.0.0.1:99999"}, "HOST:PORT"),
        ({"RINGCARD_DATABASE_URL": "mysql://root@db/crm"}, "'mysql'"),
        ({"RINGCARD_REGION": "XX"}, "'XX'"),
        ({"RINGCARD_TIME_ZONE": "Mars/Olympus"}, "'Mars/Olympus'"),
        ({"RINGCARD_LOG_LEVEL": "loud"}, "'loud'"),
        ({"RINGCARD_AGI_LISTEN": "4573"}, "agi_listen is '4573', which is not HOST:PORT"),
        ({"RINGCARD_STORY_DAYS": "-1"}, "story_days is '-1'; it is a whole number from 0 to 3650"),
        ({"RINGCARD_STORY_MEGABYTES": "1 GB"}, "story_megabytes is '1 GB'"),
        ({"RINGCARD_SUBSCRIBER_NETWORKS": "10.0.0.0/8, inside"}, "subscriber_networks names 'inside'"),
        ({"RINGCARD_OUTBOX_DAYS": "1"}, "outbox_days is '1'; it is a whole number from 2 to 3650"),
        (
            {"RINGCARD_ACCESS_LOG_DAYS": "30"},
            "access_log_days is 30; the journal of accesses is kept for 180",
        ),
        ({"RINGCARD_CONFIG": "/nowhere/ringcard.toml"}, "/nowhere/ringcard.toml"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(environment)
    assert said in str(raised.value)


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ringcard.toml"
    file.write_text('lisen = "127.0.0.1:9000"\n', "utf-8")
    with pytest.raises(SettingsError, match="lisen"):
        load_settings({"RINGCARD_CONFIG": str(file)})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://crm:canary@db:notaport/crm",
        "postgresql://crm@db/crm?password=canary",
        "postgresql://crm:canary@db/crm?sslmode=require",
        "postgresql://crm:canary@[::1/crm",
    ],
)
def test_t26_a_wrong_database_url_is_told_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="database_url") as raised:
        load_settings({"RINGCARD_DATABASE_URL": url})
    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_t26_the_database_password_is_neither_shown_nor_in_repr() -> None:
    settings = load_settings({"RINGCARD_DATABASE_URL": "postgresql://crm:canary@db/crm"})
    assert "canary" not in repr(settings)
    assert "canary" not in str(described(settings))
