module compat/patterns

go 1.24
