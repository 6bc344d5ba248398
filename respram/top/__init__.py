"""The live page in a terminal (extra respram[top])."""
