module compat/redigo

go 1.26.8

require github.com/gomodule/redigo v1.9.3
