"""respram: a server that speaks the Redis protocol and forgets on schedule. The version lives here, and nothing else."""

__version__ = "0.2.0"
