"""Catalog entries of commands that Redis has from modules: rate limits and filters. The notation: `entry.py`."""

ENTRIES = """
bf.add 3 write,denyoom,fast - 1.0.0 module 1/1/1
  shape decides
  is Add an item to a filter, which is made where there is none
  costs O(k) where k is the number of hash functions
  keys 1 range 0 1 0 RW,access,update
  args key:key#0 item:string
bf.card 2 readonly,fast - 2.4.4 module 1/1/1
  shape reads
  is Tell about how many items a filter holds
  costs O(1)
  keys 1 range 0 1 0 RO,access
  args key:key#0
bf.exists 3 readonly,fast - 1.0.0 module 1/1/1
  shape reads
  is Tell whether an item was added to a filter within its window
  costs O(k) where k is the number of hash functions
  keys 1 range 0 1 0 RO,access
  args key:key#0 item:string
bf.info -2 readonly,fast - 1.0.0 module 1/1/1
  shape reads
  is Tell what a filter is made of
  costs O(1)
  keys 1 range 0 1 0 RO,access
  args key:key#0 single_value:oneof?( capacity:=CAPACITY size:=SIZE filters:=FILTERS items:=ITEMS
  args expansion:=EXPANSION )
bf.insert -4 write,denyoom - 1.0.0 module 1/1/1
  shape decides
  is Add items to a filter, and say how it is made where there is none
  costs O(k * n) where k is the number of hash functions and n the number of items
  keys 1 range 0 1 0 RW,access,update
  args key:key#0 capacity:integer=CAPACITY? error:double=ERROR? expansion:integer=EXPANSION? nocreate:=NOCREATE?
  args nonscaling:=NONSCALING? window:oneof?( seconds:integer=EX milliseconds:integer=PX )
  args generations:integer=GENERATIONS? items:=ITEMS item:string*
bf.madd -3 write,denyoom - 1.0.0 module 1/1/1
  shape decides
  is Add items to a filter, which is made where there is none
  costs O(k * n) where k is the number of hash functions and n the number of items
  keys 1 range 0 1 0 RW,access,update
  args key:key#0 item:string*
bf.mexists -3 readonly,fast - 1.0.0 module 1/1/1
  shape reads
  is Tell which items were added to a filter within its window
  costs O(k * n) where k is the number of hash functions and n the number of items
  keys 1 range 0 1 0 RO,access
  args key:key#0 item:string*
bf.reserve -4 write,denyoom,fast - 1.0.0 module 1/1/1
  shape decides
  is Make a filter whose items end
  costs O(1)
  keys 1 range 0 1 0 RW,insert
  args key:key#0 error_rate:double capacity:integer expansion:integer=EXPANSION? nonscaling:=NONSCALING?
  args window:oneof?( seconds:integer=EX milliseconds:integer=PX ) generations:integer=GENERATIONS?
cl.throttle -5 write,denyoom,fast - 1.0.0 module 1/1/1
  shape decides
  is Let an action through if its rate allows it, and tell how much is left
  costs O(1)
  keys 1 range 0 1 0 RW,access,update
  args key:key#0 max_burst:integer count_per_period:integer period_seconds:integer quantity:integer?
"""
