"""A person's keys and themes: from the settings files, in the app, and in one clear line where they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from agentr_tui.app.app import AgentrApp
from agentr_tui.app.keymap import bindings, key_named
from agentr_tui.app.preferences import Preferences
from agentr_tui.app.preferences_file import read_preferences
from agentr_tui.cli.main import run
from agentr_tui.state.session import Session
from agentr_tui.terminal.theme import palette
from engine.base.errors import InputError
from tests.agentr_tui.apps import opened, searched, until

DOCUMENTED = Path(__file__).parents[3] / "docs" / "keys.md"


def written(folder: Path, text: str) -> Path:
    file = folder / "agentr.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of whoever runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("AGENTR_THEME", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)


async def test_the_settings_give_keys_and_a_theme_of_ones_own(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        'theme = "mine"\n[themes.mine]\nbase = "agentr-light"\ngood = "#00d7af"\n'
        '[keys]\nsearch.view = "x"\ntree.down = ["w", "down"]\nsearch.pause = "s"\nsearch.step = "space"\n'
        'help = "f1"\n',
    )
    workspace = opened(tmp_path / "w")
    session = Session(workspace)
    session.open(searched(workspace))
    app = AgentrApp(session, "search", read_preferences([file]))
    async with app.run_test(size=(110, 32)) as pilot:
        await until(pilot, lambda: app.current_mode == "search" and app.screen.is_mounted)
        assert app.theme == "mine"
        assert palette(app.current_theme).good == "#00D7AF"
        assert not app.current_theme.dark
        actions = {key: active.binding.action for key, active in app.screen.active_bindings.items()}
        assert (actions["x"], actions["w"], actions["s"], actions["space"]) == ("view", "go('down')", "pause", "step")
        assert actions.get("v") is None
        assert actions.get("j") is None
        await opens_help(app, pilot)


async def opens_help(app: AgentrApp, pilot: Pilot[int]) -> None:
    """The help lists the keys as they are now."""
    from agentr_tui.screens.shared.help import HelpScreen, help_lines

    below = app.screen
    await pilot.press("f1")
    await until(pilot, lambda: isinstance(app.screen, HelpScreen))
    told = "\n".join("".join(part for part, _ in line.parts) for line in help_lines(below))
    assert "x  Columns, overview" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[keys]\nsearch.puse = "x"', "[keys] search.puse: no such binding: search.pause"),
        ('[keys]\nsearch.pause = "xx"', "'xx' is not a key"),
        ("[keys]\nsearch.pause = 3", "a key like 'x'"),
        ('[keys]\nsearch.pause = "s"', "s is search.step there"),
        ('[keys]\nmode.search = "j"', "j is "),
        ("keys = 3", "[keys] is a table"),
        ('theme = "blue"', "theme 'blue': one of agentr-dark"),
        ('[themes.a]\ngrood = "#fff"', "[themes.a] grood: no such role: text"),
        ('[themes.a]\nbase = ["light"]', "[themes.a] base: ['light']: one of agentr-dark"),
        ('[themes.a]\ngood = "greeen"', "[themes.a] good: 'greeen' is not a colour"),
        ('[themes.a]\nbase = "b"', "[themes.a] base: 'b': one of agentr-dark"),
        ('[themes.nord]\ngood = "#fff"', "this name is taken"),
        ("[serch]\nseed = 1", "'serch' is not a setting or table"),
        ("[keys", "not TOML"),
    ],
)
def test_what_is_wrong_is_one_line_with_file_and_place(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, text)
    assert run(["config", "--workspace", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"agentr: {file}: ")
    assert told in said
    assert said.count("\n") == 1


def test_config_shows_keys_and_theme_with_where_they_come_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config" / "agentr").mkdir(parents=True)
    of_user = written(tmp_path / "config" / "agentr", 'theme = "nord"\n[keys]\nhelp = "f1"\n[search]\nseed = 7\n')
    of_workspace = written(tmp_path, '[keys]\nhelp = "f2"\n')
    assert run(["config", "--workspace", str(tmp_path)]) == 0
    said = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert said["theme"] == ["nord", str(of_user)]
    assert said["keys.help"] == ["f2", str(of_workspace)]
    assert said["keys.search.pause"] == ["space", "default"]
    assert said["search.seed"] == ["7", str(of_user)]
    monkeypatch.setenv("AGENTR_THEME", "agentr-okabe-ito")
    assert run(["config", "--workspace", str(tmp_path)]) == 0
    assert "agentr-okabe-ito" in capsys.readouterr().out


def test_every_binding_has_an_id_and_says_what_it_does_and_is_documented() -> None:
    table = DOCUMENTED.read_text(encoding="utf-8")
    for id, bound in bindings().items():
        assert bound.told, id
        assert f"| `{id}` |" in table, f"python docs/make_keys.py writes {id} into docs/keys.md"
    rows = table.partition("## Every binding")[2]
    assert rows.count("\n| `") == len(bindings()), "python docs/make_keys.py takes out what is gone"


def test_the_keys_that_ship_do_not_clash() -> None:
    read_preferences([])
    assert key_named("?") == key_named("question_mark") == "question_mark"
    assert key_named("ctrl+x") == "ctrl+x"
    assert key_named("+") == "plus"
    assert key_named("") is None


def test_a_theme_that_is_named_nowhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTR_THEME", "nothing")
    with pytest.raises(InputError, match="AGENTR_THEME: theme 'nothing'"):
        read_preferences([])
    assert Preferences().theme == "agentr-dark"
