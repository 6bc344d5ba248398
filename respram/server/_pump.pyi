"""What the compiled pump offers: the names of `pump.Pump`."""

from respram.server.pump import Pump

NativePump = Pump
