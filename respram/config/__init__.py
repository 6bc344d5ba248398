"""From words, variables and files to one frozen Config; every option and every bound is a row of a table."""
