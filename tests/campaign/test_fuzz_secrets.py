"""Secrets are compared in constant time: read off the source, and measured where the source cannot tell."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.campaign import fuzz_timing
from tests.support.installation import ROOT

SOURCE = ROOT / "src" / "andromede"
FILES = sorted(SOURCE.rglob("*.py"))
SECRET = re.compile(r"(^|_)(signature|secret|password|passcode|hmac|mac|token)s?$")
MAKERS = frozenset({"sign", "totp", "hmac.digest", "hmac.new", "hmac.HMAC", "signing_key"})
COMPARED = {
    "identity/login.py": 1, "identity/passwords.py": 1, "objects/s3/chunked.py": 2, "objects/s3/digest.py": 1,
    "objects/s3/post.py": 1, "objects/s3/express.py": 1, "objects/s3/sigv2.py": 1, "objects/s3/sigv4.py": 1,
    "objects/s3/sse.py": 1, "objects/swift/access.py": 1, "volumes/archive.py": 2, "volumes/transfers.py": 1,
}  # fmt: skip
"""Where `hmac.compare_digest` stands: TOTP, hashes of passwords, chunk and payload hashes, checksums, POST policies,
both versions of signatures, the MD5 of customers' keys, temporary URLs and forms, pieces of backups, keys of
offered volumes. Tokens and TOTP seeds are Fernet, and
argon2 hashes of other parameters than ours are left to its library; both compare inside."""


def last_name(node: ast.expr) -> str:
    """`claimed.signature` -> signature; an empty string for what is no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def called(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def _makes(node: ast.AST) -> bool:
    return any(called(one).removeprefix("sigv4.") in MAKERS for one in ast.walk(node))


def _made(function: ast.AST) -> set[str]:
    """Names that a function gives to what it has signed."""
    found = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and _makes(node.value):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def compared(tree: ast.AST) -> list[str]:
    """Comparisons that look at a secret with `==`, `!=` or `in`."""
    found = []
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        made = _made(function)
        for node in ast.walk(function):
            if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
                continue
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Constant) for side in sides):
                continue
            secret = [
                side for side in sides if SECRET.search(last_name(side)) or last_name(side) in made or _makes(side)
            ]
            if secret:
                found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_secrets_are_compared_in_constant_time(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert compared(tree) == []
    count = sum(called(node) == "hmac.compare_digest" for node in ast.walk(tree))
    assert count == COMPARED.get(str(path.relative_to(SOURCE)), 0), "name the new place in COMPARED, and measure it"


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("def f(a, signature): return a == signature", 1),
        ("def f(c, key): return hmac.digest(key, b'', 'sha1') != c", 1),
        ("def f(c, text): return sigv4.sign(b'', text) == c.x", 1),
        ("def f(self, passcode): return self.passcode == 'x'", 0),
        ("def f(a, signature): return hmac.compare_digest(a, signature)", 0),
    ],
)
def test_the_rule_finds_what_it_forbids(source: str, count: int) -> None:
    assert len(compared(ast.parse(source))) == count


def test_every_check_refuses_both_guesses_and_the_measure_sees_a_leak() -> None:
    """The statistics of the real checks belong to a quiet machine (`python -m tests.campaign.fuzz_timing`)."""
    for check in fuzz_timing.checks():
        assert check.early != check.late, check.name
        fuzz_timing.measured(check, 20, 1)
    assert fuzz_timing.measured(fuzz_timing.naive(), 2000, 1) > fuzz_timing.BOUND
