"""What makes a release out of a checkout: interpreters, the matrix, archives and their papers, the documentation site.

Nothing here ships, and nothing that ships knows of it.
"""
