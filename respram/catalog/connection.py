"""Catalog entries of what a client says of its own connection, and of transactions, which are a connection's. Notation:
`entry.py`.
"""

ENTRIES = """
auth -2 noscript,loading,stale,fast,no_auth,allow_busy connection 1.0.0 connection -
  is Authenticate to the server
  costs O(N) where N is the number of passwords defined for the user
  since 6.0.0 Added ACL style (username and password).
  args username:string?@6.0.0 password:string
client -2 - - 2.4.0 connection -
  is A container for client connection commands
  costs Depends on subcommand.
client|caching 3 noscript,loading,stale connection 6.0.0 connection -
  is Instruct the server about tracking or not keys in the next request
  costs O(1)
  args mode:oneof( yes:=YES no:=NO )
client|getname 2 noscript,loading,stale connection 2.6.9 connection -
  is Get the current connection name
  costs O(1)
client|getredir 2 noscript,loading,stale connection 6.0.0 connection -
  is Get tracking notifications redirection client ID if any
  costs O(1)
client|help 2 loading,stale connection 5.0.0 connection -
  is Show helpful text about the different subcommands
  costs O(1)
client|id 2 noscript,loading,stale connection 5.0.0 connection -
  is Returns the client ID for the current connection
  costs O(1)
client|info 2 noscript,loading,stale connection 6.2.0 connection -
  is Returns information about the current client connection.
  costs O(1)
  tip nondeterministic_output
client|kill -3 admin,noscript,loading,stale connection 2.4.0 connection -
  is Kill the connection of a client
  costs O(N) where N is the number of client connections
  since 2.8.12 Added new filter format.
  since 2.8.12 `ID` option.
  since 3.2.0 Added `master` type in for `TYPE` option.
  since 5.0.0 Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility.
  since 6.2.0 `LADDR` option.
  args filter:oneof( ip:port:string!2.8.12 new-format:oneof*( client-id:integer=ID?@2.8.12
  args normal_master_slave_pubsub:oneof=TYPE?@2.8.12( normal:=NORMAL master:=MASTER@3.2.0 slave:=SLAVE
  args replica:=REPLICA@5.0.0 pubsub:=PUBSUB ) username:string=USER? ip:port:string=ADDR?
  args ip:port:string=LADDR?@6.2.0 yes/no:string=SKIPME? ) )
client|list -2 admin,noscript,loading,stale connection 2.4.0 connection -
  is Get the list of client connections
  costs O(N) where N is the number of client connections
  tip nondeterministic_output
  since 2.8.12 Added unique client `id` field.
  since 5.0.0 Added optional `TYPE` filter.
  since 6.0.0 Added `user` field.
  since 6.2.0 Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter.
  since 7.0.0 Added `resp`, `multi-mem`, `rbs` and `rbp` fields.
  since 7.0.3 Added `ssub` field.
  args normal_master_replica_pubsub:oneof=TYPE?@5.0.0( normal:=NORMAL master:=MASTER replica:=REPLICA
  args pubsub:=PUBSUB ) id:block=ID?@6.2.0( client-id:integer* )
client|no-evict 3 admin,noscript,loading,stale connection 7.0.0 connection -
  is Set client eviction mode for the current connection
  costs O(1)
  args enabled:oneof( on:=ON off:=OFF )
client|no-touch 3 noscript,loading,stale connection 7.2.0 connection -
  is Choose whether reading counts as use, on this connection
  costs O(1)
  args enabled:oneof( on:=ON off:=OFF )
client|pause -3 admin,noscript,loading,stale connection 2.9.50 connection -
  is Stop processing commands from clients for some time
  costs O(1)
  since 6.2.0 `CLIENT PAUSE WRITE` mode added along with the `mode` option.
  args timeout:integer mode:oneof?@6.2.0( write:=WRITE all:=ALL )
client|reply 3 noscript,loading,stale connection 3.2.0 connection -
  is Instruct the server whether to reply to commands
  costs O(1)
  args on_off_skip:oneof( on:=ON off:=OFF skip:=SKIP )
client|setinfo 4 noscript,loading,stale connection 7.2.0 connection -
  is Name the library that speaks on this connection
  costs O(1)
  args attr:oneof( libname:string=LIB-NAME libver:string=LIB-VER )
client|setname 3 noscript,loading,stale connection 2.6.9 connection -
  is Set the current connection name
  costs O(1)
  args connection-name:string
client|tracking -3 noscript,loading,stale connection 6.0.0 connection -
  is Enable or disable server assisted client side caching support
  costs O(1). Some options may introduce additional complexity.
  args status:oneof( on:=ON off:=OFF ) client-id:integer=REDIRECT? prefix:string=PREFIX?*+ bcast:=BCAST?
  args optin:=OPTIN? optout:=OPTOUT? noloop:=NOLOOP?
client|trackinginfo 2 noscript,loading,stale connection 6.2.0 connection -
  is Return information about server assisted client side caching for the current connection
  costs O(1)
client|unblock -3 admin,noscript,loading,stale connection 5.0.0 connection -
  is Unblock a client blocked in a blocking command from a different connection
  costs O(log N) where N is the number of client connections
  args client-id:integer timeout_error:oneof?( timeout:=TIMEOUT error:=ERROR )
client|unpause 2 admin,noscript,loading,stale connection 6.2.0 connection -
  is Resume processing of clients that were paused
  costs O(N) Where N is the number of paused clients
echo 2 loading,stale,fast connection 1.0.0 connection -
  shape answers hot
  is Echo the given string
  costs O(1)
  args message:string
hello -1 noscript,loading,stale,fast,no_auth,allow_busy connection 6.0.0 connection -
  is Handshake with Redis
  costs O(1)
  since 6.2.0 `protover` made optional; when called without arguments the command reports the current
    connection's context.
  args arguments:block?( protover:integer username_password:block=AUTH?( username:string password:string )
  args clientname:string=SETNAME? )
ping -1 fast connection 1.0.0 connection -
  shape answers hot 2
  is Ping the server
  costs O(1)
  tip request_policy:all_shards
  tip response_policy:all_succeeded
  args message:string?
quit -1 noscript,loading,stale,fast,no_auth,allow_busy connection 1.0.0 connection -
  is Close the connection
  costs O(1)
reset 1 noscript,loading,stale,fast,no_auth,allow_busy connection 6.2.0 connection -
  is Reset the connection
  costs O(1)
select 2 loading,stale,fast connection 1.0.0 connection -
  shape answers hot
  is Change the selected database for the current connection
  costs O(1)
  args index:integer
discard 1 noscript,loading,stale,fast,allow_busy transaction 2.0.0 transactions -
  shape answers hot
  is Discard all commands issued after MULTI
  costs O(N), when N is the number of queued commands
exec 1 noscript,loading,stale,skip_slowlog transaction 1.2.0 transactions -
  shape answers hot
  is Execute all commands issued after MULTI
  costs Depends on commands in the transaction
multi 1 noscript,loading,stale,fast,allow_busy transaction 1.2.0 transactions -
  shape answers hot
  is Mark the start of a transaction block
  costs O(1)
unwatch 1 noscript,loading,stale,fast,allow_busy transaction 2.2.0 transactions -
  shape answers hot
  is Forget about all watched keys
  costs O(1)
watch -2 noscript,loading,stale,fast,allow_busy transaction 2.2.0 transactions 1/-1/1
  shape answers,asks hot
  is Watch the given keys to determine execution of the MULTI/EXEC block
  costs O(1) for every key.
  keys 1 range -1 1 0 RO
  args key:key*#0
"""
