"""The pure engine: readable Python, the specification of the native one."""

from respram.engine.pure.engine import PureEngine

__all__ = ["PureEngine"]
