"""`python -m respram`: the same as the `respram` command."""

import sys

from respram.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
