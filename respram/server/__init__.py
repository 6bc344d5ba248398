"""The only room with I/O, clocks and logging: sockets, the loop, signals, the process."""
