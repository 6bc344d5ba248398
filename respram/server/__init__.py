"""The only package with I/O, clocks and logging: sockets, the loop, signals, the process."""
