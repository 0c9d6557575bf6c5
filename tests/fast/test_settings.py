"""Settings: flag over variable over default, and every bad value said at once."""

from pathlib import Path

import pytest

from workshop import settings
from workshop.errors import SettingsError


def test_default_target_is_local():
    assert settings.load({}).target == "local"


def test_variable_beats_default_and_flag_beats_variable():
    environ = {"WORKSHOP_PORT": "5000"}
    assert settings.load({}).port == 4566
    assert settings.load(environ).port == 5000
    assert settings.load(environ, port=6000).port == 6000


def test_flag_that_is_none_was_not_given():
    assert settings.load({"WORKSHOP_PROFILE": "full"}, profile=None).profile == "full"


def test_empty_variable_counts_as_not_set():
    assert settings.load({"WORKSHOP_ENGINE": ""}).engine == "auto"


def test_region_comes_from_aws_own_variable_where_ours_is_absent():
    environ = {"AWS_REGION": "eu-west-3", "AWS_DEFAULT_REGION": "eu-north-1"}
    assert settings.load(environ).region == "eu-west-3"
    assert settings.load({**environ, "WORKSHOP_REGION": "ap-south-1"}).region == "ap-south-1"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("engine", "podman", "expected one of auto, process, docker"),
        ("engine", "dokcer", "did you mean 'docker'?"),
        ("target", "AWS", "did you mean 'aws'?"),
        ("profile", "fast", "quick, full"),
        ("port", "http", "whole number"),
        ("port", "-1", "whole number"),
        ("port", "٤٥٦٦", "whole number"),
        ("port", "0", "1 to 65535"),
        ("port", "65536", "1 to 65535"),
        ("region", "frankfurt", "a region such as"),
        ("name", "My_Course", "2 to 20"),
        ("name", "x" * 21, "2 to 20"),
        ("source_cidr", "0.0.0.0/0", "whole internet"),
        ("source_cidr", "::/0", "IPv4"),
        ("source_cidr", "home", "203.0.113.7/32"),
        ("data_dir", "/no/such/folder", "does not exist"),
    ],
)
def test_bad_value_names_its_variable_and_what_was_expected(name, value, said):
    variable = f"WORKSHOP_{name.upper()}"
    with pytest.raises(SettingsError) as caught:
        settings.load({variable: value})
    assert variable in caught.value.message
    assert value in caught.value.message
    assert said in caught.value.message
    assert caught.value.remedy


def test_all_bad_values_are_reported_at_once():
    with pytest.raises(SettingsError) as caught:
        settings.load({"WORKSHOP_PORT": "x", "WORKSHOP_ENGINE": "y"}, profile="z")
    for said in ("WORKSHOP_PORT", "WORKSHOP_ENGINE", "--profile"):
        assert said in caught.value.message


def test_data_folder_that_is_a_file_is_refused(tmp_path):
    file = tmp_path / "data"
    file.write_text("")
    with pytest.raises(SettingsError, match="found a file"):
        settings.load({"WORKSHOP_DATA_DIR": str(file)})


def test_unknown_setting_is_refused_with_the_nearest():
    with pytest.raises(SettingsError, match="data_dri") as caught:
        settings.load({}, data_dri="/tmp")
    assert "data_dir" in caught.value.remedy


def test_misspelled_variable_is_found_and_known_ones_are_not():
    environ = {"WORKSHOP_DATADIR": "/x", "WORKSHOP_DATA_DIR": "/y", "WORKSHOP_LOCAL_AWS": "1", "PATH": ""}
    assert settings.misspelled(environ) == [("WORKSHOP_DATADIR", "WORKSHOP_DATA_DIR")]


def test_relative_folder_counts_from_here_else_from_the_repository(tmp_path, monkeypatch):
    root = settings.load({}).root
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert settings.load({}, data_dir="mine").data_dir == tmp_path / "mine"
    assert settings.load({}, data_dir="src").data_dir == root / "src"


def test_root_that_does_not_exist_is_refused():
    with pytest.raises(SettingsError, match="WORKSHOP_ROOT"):
        settings.load({"WORKSHOP_ROOT": "/no/such/root"})


def test_folders_follow_the_root(tmp_path):
    found = settings.load({"WORKSHOP_ROOT": str(tmp_path)})
    assert found.state_dir == tmp_path / ".workshop"
    assert found.cache_dir == tmp_path / ".workshop" / "cache"
    assert found.runs_dir == tmp_path / "runs"


def test_a_child_process_with_the_environment_has_the_same_settings(tmp_path, monkeypatch):
    given = settings.load({}, data_dir=tmp_path, port=5001, region="eu-west-3", source_cidr="203.0.113.7/32")
    monkeypatch.chdir("/")
    assert settings.load(given.environment()) == given


def test_every_field_has_its_line_in_the_table():
    names = [setting.name for setting in settings.SETTINGS]
    assert names == list(settings.Settings.__dataclass_fields__)
    assert all(setting.help and setting.unit for setting in settings.SETTINGS)


def test_origins_say_flag_variable_or_default():
    found = settings.origins({"WORKSHOP_PORT": "1"}, engine="process")
    assert (found["port"], found["engine"], found["name"]) == ("WORKSHOP_PORT", "--engine", "default")


def test_loading_makes_no_folder(tmp_path):
    settings.load({"WORKSHOP_ROOT": str(tmp_path)})
    assert list(Path(tmp_path).iterdir()) == []
