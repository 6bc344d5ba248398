"""Cluster secrets for tests: as good as those that `respram secret` prints, and the same in each run."""

from hashlib import sha256

from respram.server.secret import spell_secret


def secret_of(word: str) -> str:
    return spell_secret(sha256(word.encode()).digest())
