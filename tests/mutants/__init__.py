"""Mutation testing: small faults are planted one by one, and the tests must notice each."""
