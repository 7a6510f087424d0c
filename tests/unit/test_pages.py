"""The pages for readers: links lead somewhere, and commands, options and files that they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """The places in a page that a link may name."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", NAMES)
def test_links_within_the_tree_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(name)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, place = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), f"{name}: {target}"
        assert not place or place in anchors(path.read_text(encoding="utf-8")), f"{name}: {target}"


@pytest.mark.parametrize("name", NAMES)
def test_modules_that_a_page_runs_exist_with_the_options_it_gives(name: str) -> None:
    for module, words in re.findall(r"python -m ((?:bench|tests)[\w.]*)([^`#|]*)", text_of(name)):
        path = ROOT / module.rstrip(".").replace(".", "/")
        source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__main__.py"
        assert source.exists(), f"{name}: {module}"
        options = re.findall(r"--[a-z][a-z-]*", words.partition("\n")[0])
        assert all(f'"{option}"' in source.read_text(encoding="utf-8") for option in options), (
            f"{name}: {module} {words}"
        )


@pytest.mark.parametrize("name", NAMES)
def test_files_and_targets_that_a_page_names_exist(name: str) -> None:
    text, made = text_of(name), text_of("Makefile")
    for named in re.findall(r"`((?:tests|bench|src|docs|tools)/[\w/.*-]+)`", text):
        assert list(ROOT.glob(named)), f"{name}: {named}"
    for target in re.findall(r"`make ([a-z]+)[ `]", text):
        assert f"\n{target}: " in made, f"{name}: make {target}"


def test_pages_that_the_source_names_exist() -> None:
    places = (ROOT, ROOT / "docs", ROOT / "docs" / "reference")
    for path in [*ROOT.glob("src/**/*.py"), *ROOT.glob("tools/*")]:
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            for page in re.findall(r"(?<![\w/-])(?:docs/)?[\w-]+\.md\b", text):
                assert any((place / page).exists() for place in places), f"{path}: {page}"
            for number in re.findall(r"docs/decisions/(\d{4})", text):
                assert list(ROOT.glob(f"docs/decisions/{number}-*.md")), f"{path}: decision {number}"
