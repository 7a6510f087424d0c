"""What a password hash costs here: the limit under the issue of tokens."""

from __future__ import annotations

import subprocess
import time

from andromede.identity.passwords import Passwords
from andromede.ids import RandomIds
from andromede.ops.limits import mean
from bench.packages import Missing, environment

BCRYPT = """import bcrypt, time
salt = bcrypt.gensalt()
begin = time.process_time()
bcrypt.hashpw(b"x", salt)
print(time.process_time() - begin)
"""


def password_hashes() -> dict[str, float]:
    """CPU seconds of one hash: ours (argon2id as the program does it), and Keystone's default (bcrypt) where its
    environment is there."""
    passwords = Passwords(RandomIds())
    encoded = passwords.hash("bench")
    found = {"argon2id": mean(lambda: passwords.verify(encoded, "bench"), time.process_time, 0.5)}
    try:
        python = environment("keystone") / "bin" / "python"
        done = subprocess.run([str(python), "-c", BCRYPT], capture_output=True, text=True, timeout=60, check=True)
        found["bcrypt"] = float(done.stdout)
    except (Missing, OSError, subprocess.SubprocessError, ValueError):
        pass
    return found
