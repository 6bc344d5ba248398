"""The command line: `serve`, and the commands beside it, one file each."""
