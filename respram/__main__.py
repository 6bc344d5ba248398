"""`python -m respram`: the same as the `respram` command."""

import sys

from respram.cli.main import entry

if __name__ == "__main__":
    sys.exit(entry())
