"""Respram beside what clients know: real servers, real clients, real frameworks. Nothing here ships."""
