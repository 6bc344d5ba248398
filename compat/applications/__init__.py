"""Real applications and libraries, unmodified, against redis-server, a node as it comes, and one that lets go."""
