"""When the web pages are built again, and what is said when they cannot be."""

from pathlib import Path

import pytest

from deploy import dashboard


def _sources(folder: Path) -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "src/main.tsx").write_text("one")
    return folder


def test_a_changed_source_changes_the_digest(tmp_path: Path) -> None:
    sources = _sources(tmp_path)
    before = dashboard.digest_of(sources)

    (sources / "src/main.tsx").write_text("two")

    assert dashboard.digest_of(sources) != before


def test_a_renamed_source_changes_the_digest(tmp_path: Path) -> None:
    sources = _sources(tmp_path)
    before = dashboard.digest_of(sources)

    (sources / "src/main.tsx").rename(sources / "src/other.tsx")

    assert dashboard.digest_of(sources) != before


def test_packages_and_built_files_are_no_sources(tmp_path: Path) -> None:
    sources = _sources(tmp_path)
    before = dashboard.digest_of(sources)

    for folder in ("node_modules", "dist"):
        (sources / folder).mkdir()
        (sources / folder / "file.js").write_text("built")

    assert dashboard.digest_of(sources) == before


@pytest.mark.parametrize(("arguments", "code"), [([], 1), (["--optional"], 0)])
def test_without_npm_the_build_says_what_is_missing(
    arguments: list[str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_node: Path, *_arguments: str) -> None:
        raise dashboard.BuildError("The web pages are not built: `npm ci` failed.")

    monkeypatch.setattr(dashboard, "STAMP", Path("/nonexistent"))
    monkeypatch.setattr(dashboard, "_npm", fail)

    assert dashboard.main(arguments) == code
    assert "The web pages are not built" in capsys.readouterr().err
