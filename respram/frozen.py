"""`dataclass` for the small objects of which a forwarded command makes twenty.

A frozen dataclass with slots sets each field by a call of its own: FORWARD, with twelve fields, takes eight times as
long to make as one that is not frozen. So the type checker sees the usual decorator and refuses every change of such an
object, and at runtime nothing does.
"""

from dataclasses import dataclass as _dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, frozen=False, slots=False):
        """Equal and hashed by its fields, as a frozen one is."""
        return _dataclass(slots=slots, unsafe_hash=frozen)
