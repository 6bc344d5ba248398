"""Catalog entries of connection, transaction, pub/sub and server commands. Notation: `entry.py`.

Facts only, as COMMAND INFO and COMMAND DOCS tell them. Where a command is the one that Redis 7.0 has,
its entry tells what Redis tells, so that clients which compare find nothing to stumble over.
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
  is Forget about all watched keys
  costs O(1)
watch -2 noscript,loading,stale,fast,allow_busy transaction 2.2.0 transactions 1/-1/1
  is Watch the given keys to determine execution of the MULTI/EXEC block
  costs O(1) for every key.
  keys 1 range -1 1 0 RO
  args key:key*#0
psubscribe -2 pubsub,noscript,loading,stale - 2.0.0 pubsub -
  is Listen for messages published to channels matching the given patterns
  costs O(N) where N is the number of patterns the client is already subscribed to.
  args pattern:block*( pattern:pattern )
publish 3 pubsub,loading,stale,fast - 2.0.0 pubsub -
  is Post a message to a channel
  costs O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total
    number of subscribed patterns (by any client).
  args channel:string message:string
  shape answers hot
pubsub -2 - - 2.8.0 pubsub -
  is A container for Pub/Sub commands
  costs Depends on subcommand.
pubsub|channels -2 pubsub,loading,stale - 2.8.0 pubsub -
  is List active channels
  costs O(N) where N is the number of active channels, and assuming constant time pattern matching
    (relatively short channels and patterns)
  args pattern:pattern?
pubsub|help 2 loading,stale - 6.2.0 pubsub -
  is Show helpful text about the different subcommands
  costs O(1)
pubsub|numpat 2 pubsub,loading,stale - 2.8.0 pubsub -
  is Get the count of unique patterns pattern subscriptions
  costs O(1)
pubsub|numsub -2 pubsub,loading,stale - 2.8.0 pubsub -
  is Get the count of subscribers for channels
  costs O(N) for the NUMSUB subcommand, where N is the number of requested channels
  args channel:string?*
pubsub|shardchannels -2 pubsub,loading,stale - 7.0.0 pubsub -
  is List active shard channels
  costs O(N) where N is the number of active shard channels, and assuming constant time pattern matching
    (relatively short shard channels).
  args pattern:pattern?
pubsub|shardnumsub -2 pubsub,loading,stale - 7.0.0 pubsub -
  is Get the count of subscribers for shard channels
  costs O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels
  args shardchannel:string?*
punsubscribe -1 pubsub,noscript,loading,stale - 2.0.0 pubsub -
  is Stop listening for messages posted to channels matching the given patterns
  costs O(N+M) where N is the number of patterns the client is already subscribed and M is the number of
    total patterns subscribed in the system (by any client).
  args pattern:pattern?*
spublish 3 pubsub,loading,stale,fast - 7.0.0 pubsub 1/1/1
  is Post a message to a shard channel
  costs O(N) where N is the number of clients subscribed to the receiving shard channel.
  keys 1 range 0 1 0 not_key
  args shardchannel:string message:string
ssubscribe -2 pubsub,noscript,loading,stale - 7.0.0 pubsub 1/-1/1
  is Listen for messages published to the given shard channels
  costs O(N) where N is the number of shard channels to subscribe to.
  keys 1 range -1 1 0 not_key
  args shardchannel:string*
subscribe -2 pubsub,noscript,loading,stale - 2.0.0 pubsub -
  is Listen for messages published to the given channels
  costs O(N) where N is the number of channels to subscribe to.
  args channel:string*
sunsubscribe -1 pubsub,noscript,loading,stale - 7.0.0 pubsub 1/-1/1
  is Stop listening for messages posted to the given shard channels
  costs O(N) where N is the number of clients already subscribed to a shard channel.
  keys 1 range -1 1 0 not_key
  args shardchannel:string?*
unsubscribe -1 pubsub,noscript,loading,stale - 2.0.0 pubsub -
  is Stop listening for messages posted to the given channels
  costs O(N) where N is the number of clients already subscribed to a channel.
  args channel:string?*
acl -2 - - 6.0.0 server -
  is A container for Access List Control commands
  costs Depends on subcommand.
acl|cat -2 noscript,loading,stale - 6.0.0 server -
  is List the ACL categories or the commands inside a category
  costs O(1) since the categories and commands are a fixed set.
  args categoryname:string?
acl|deluser -3 admin,noscript,loading,stale - 6.0.0 server -
  is Remove the specified ACL users and the associated rules
  costs O(1) amortized time considering the typical user.
  args username:string*
acl|dryrun -4 admin,noscript,loading,stale - 7.0.0 server -
  is Returns whether the user can execute the given command without executing the command.
  costs O(1).
  args username:string command:string arg:string?*
acl|genpass -2 noscript,loading,stale - 6.0.0 server -
  is Generate a pseudorandom secure password to use for ACL users
  costs O(1)
  args bits:integer?
acl|getuser 3 admin,noscript,loading,stale - 6.0.0 server -
  is Get the rules for a specific ACL user
  costs O(N). Where N is the number of password, command and pattern rules that the user has.
  since 6.2.0 Added Pub/Sub channel patterns.
  since 7.0.0 Added selectors and changed the format of key and channel patterns from a list to their rule representation.
  args username:string
acl|help 2 loading,stale - 6.0.0 server -
  is Show helpful text about the different subcommands
  costs O(1)
acl|list 2 admin,noscript,loading,stale - 6.0.0 server -
  is List the current ACL rules in ACL config file format
  costs O(N). Where N is the number of configured users.
acl|load 2 admin,noscript,loading,stale - 6.0.0 server -
  is Reload the ACLs from the configured ACL file
  costs O(N). Where N is the number of configured users.
acl|log -2 admin,noscript,loading,stale - 6.0.0 server -
  is List latest events denied because of ACLs in place
  costs O(N) with N being the number of entries shown.
  args operation:oneof?( count:integer reset:=RESET )
acl|save 2 admin,noscript,loading,stale - 6.0.0 server -
  is Save the current ACL rules in the configured ACL file
  costs O(N). Where N is the number of configured users.
acl|setuser -3 admin,noscript,loading,stale - 6.0.0 server -
  is Modify or create the rules for a specific ACL user
  costs O(N). Where N is the number of rules provided.
  since 6.2.0 Added Pub/Sub channel patterns.
  since 7.0.0 Added selectors and key based permissions.
  args username:string rule:string?*
acl|users 2 admin,noscript,loading,stale - 6.0.0 server -
  is List the username of all the configured ACL rules
  costs O(N). Where N is the number of configured users.
acl|whoami 2 noscript,loading,stale - 6.0.0 server -
  is Return the name of the user associated to the current connection
  costs O(1)
command -1 loading,stale connection 2.8.13 server -
  is Get array of Redis command details
  costs O(N) where N is the total number of Redis commands
  tip nondeterministic_output_order
command|count 2 loading,stale connection 2.8.13 server -
  is Get total number of Redis commands
  costs O(1)
command|docs -2 loading,stale connection 7.0.0 server -
  is Get array of specific Redis command documentation
  costs O(N) where N is the number of commands to look up
  tip nondeterministic_output_order
  args command-name:string?*
command|getkeys -4 loading,stale connection 2.8.13 server -
  is Extract keys given a full Redis command
  costs O(N) where N is the number of arguments to the command
command|getkeysandflags -4 loading,stale connection 7.0.0 server -
  is Extract keys and access flags given a full Redis command
  costs O(N) where N is the number of arguments to the command
command|help 2 loading,stale connection 5.0.0 server -
  is Show helpful text about the different subcommands
  costs O(1)
command|info -2 loading,stale connection 2.8.13 server -
  is Get array of specific Redis command details, or all when no argument is given.
  costs O(N) where N is the number of commands to look up
  tip nondeterministic_output_order
  since 7.0.0 Allowed to be called with no argument to get info on all commands.
  args command-name:string?*
command|list -2 loading,stale connection 7.0.0 server -
  is Get an array of Redis command names
  costs O(N) where N is the total number of Redis commands
  tip nondeterministic_output_order
  args filterby:oneof=FILTERBY?( module-name:string=MODULE category:string=ACLCAT pattern:pattern=PATTERN )
config -2 - - 2.0.0 server -
  is A container for server configuration commands
  costs Depends on subcommand.
config|get -3 admin,noscript,loading,stale - 2.0.0 server -
  is Get the values of configuration parameters
  costs O(N) when N is the number of configuration parameters provided
  since 7.0.0 Added the ability to pass multiple pattern parameters in one call
  args parameter:block*( parameter:string )
config|help 2 loading,stale - 5.0.0 server -
  is Show helpful text about the different subcommands
  costs O(1)
config|resetstat 2 admin,noscript,loading,stale - 2.0.0 server -
  is Reset the stats returned by INFO
  costs O(1)
config|rewrite 2 admin,noscript,loading,stale - 2.8.0 server -
  is Rewrite the configuration file with the in memory configuration
  costs O(1)
config|set -4 admin,noscript,loading,stale - 2.0.0 server -
  is Set configuration parameters to the given values
  costs O(N) when N is the number of configuration parameters provided
  tip request_policy:all_nodes
  tip response_policy:all_succeeded
  since 7.0.0 Added the ability to set multiple parameters in one call.
  args parameter_value:block*( parameter:string value:string )
dbsize 1 readonly,fast keyspace 1.0.0 server -
  shape reads hot
  is Return the number of keys in the selected database
  costs O(1)
  tip request_policy:all_shards
  tip response_policy:agg_sum
info -1 loading,stale dangerous 1.0.0 server -
  is Get information and statistics about the server
  costs O(1)
  tip nondeterministic_output
  tip request_policy:all_shards
  tip response_policy:special
  since 7.0.0 Added support for taking multiple section arguments.
  args section:string?*
latency -2 - - 2.8.13 server -
  is A container for latency diagnostics commands
  costs Depends on subcommand.
latency|doctor 2 admin,noscript,loading,stale - 2.8.13 server -
  is Return a human readable latency analysis report.
  costs O(1)
  tip nondeterministic_output
  tip request_policy:all_nodes
  tip response_policy:special
latency|graph 3 admin,noscript,loading,stale - 2.8.13 server -
  is Return a latency graph for the event.
  costs O(1)
  tip nondeterministic_output
  tip request_policy:all_nodes
  tip response_policy:special
  args event:string
latency|help 2 loading,stale - 2.8.13 server -
  is Show helpful text about the different subcommands.
  costs O(1)
latency|histogram -2 admin,noscript,loading,stale - 7.0.0 server -
  is Return the cumulative distribution of latencies of a subset of commands or all.
  costs O(N) where N is the number of commands with latency information being retrieved.
  tip nondeterministic_output
  tip request_policy:all_nodes
  tip response_policy:special
  args command:string?*
latency|history 3 admin,noscript,loading,stale - 2.8.13 server -
  is Return timestamp-latency samples for the event.
  costs O(1)
  tip nondeterministic_output
  tip request_policy:all_nodes
  tip response_policy:special
  args event:string
latency|latest 2 admin,noscript,loading,stale - 2.8.13 server -
  is Return the latest latency samples for all events.
  costs O(1)
  tip nondeterministic_output
  tip request_policy:all_nodes
  tip response_policy:special
latency|reset -2 admin,noscript,loading,stale - 2.8.13 server -
  is Reset latency data for one or more events.
  costs O(1)
  tip request_policy:all_nodes
  tip response_policy:all_succeeded
  args event:string?*
memory -2 - - 4.0.0 server -
  is A container for memory diagnostics commands
  costs Depends on subcommand.
memory|doctor 2 - - 4.0.0 server -
  is Outputs memory problems report
  costs O(1)
  tip nondeterministic_output
  tip request_policy:all_shards
  tip response_policy:special
memory|help 2 loading,stale - 4.0.0 server -
  is Show helpful text about the different subcommands
  costs O(1)
memory|malloc-stats 2 - - 4.0.0 server -
  is Show allocator internal stats
  costs Depends on how much memory is allocated, could be slow
  tip nondeterministic_output
  tip request_policy:all_shards
  tip response_policy:special
memory|purge 2 - - 4.0.0 server -
  is Ask the allocator to release memory
  costs Depends on how much memory is allocated, could be slow
  tip request_policy:all_shards
  tip response_policy:all_succeeded
memory|stats 2 - - 4.0.0 server -
  is Show memory usage details
  costs O(1)
  tip nondeterministic_output
  tip request_policy:all_shards
  tip response_policy:special
memory|usage -3 readonly - 4.0.0 server 2/2/1
  shape reads
  is Estimate the memory usage of a key
  costs O(N) where N is the number of samples.
  keys 2 range 0 1 0 RO
  args key:key#0 count:integer=SAMPLES?
module -2 - - 4.0.0 server -
  is A container for module commands
  costs Depends on subcommand.
module|help 2 loading,stale - 5.0.0 server -
  is Show helpful text about the different subcommands
  costs O(1)
module|list 2 admin,noscript - 4.0.0 server -
  is List all modules loaded by the server
  costs O(N) where N is the number of loaded modules.
  tip nondeterministic_output_order
respram -2 - - 1.0.0 server -
  is A container for what only respram has
  costs Depends on subcommand.
respram|digest -2 readonly,loading,stale - 1.0.0 server -
  is Tell count and sum of the settled records, alike on nodes that hold the same
  costs O(1)
  args at:integer?
respram|expel 3 admin,noscript,loading,stale admin,dangerous 1.0.0 server -
  is Put out the peers whose certificates a signed revocation list names, on all nodes
  costs O(N) where N is the number of certificates on the list
  args list:string
respram|help 2 loading,stale - 1.0.0 server -
  is Show what the subcommands do
  costs O(1)
respram|home 3 loading,stale,fast - 1.0.0 server -
  is Tell the slot of a key, and which node decides about it
  costs O(1)
  args key:string
respram|peers 2 loading,stale - 1.0.0 server -
  is List the nodes to which there are links, or should be
  costs O(N) where N is the number of peers
respram|refused 2 loading,stale - 1.0.0 server -
  is List what was refused, by command, client name and user
  costs O(N) where N is the number of kinds of refusals
respram|state 2 loading,stale,fast - 1.0.0 server -
  is Tell whether this node holds what the others hold
  costs O(1)
respram|topology 2 loading,stale - 1.0.0 server -
  is List all nodes of the network and their places in the tree
  costs O(N) where N is the number of nodes
respram|version 2 loading,stale - 1.0.0 server -
  is Tell the version of respram
  costs O(1)
role 1 noscript,loading,stale,fast admin,dangerous 2.8.12 server -
  is Return the role of the instance in the context of replication
  costs O(1)
shutdown -1 admin,noscript,loading,stale,no_multi,allow_busy,by_name - 1.0.0 server -
  is Stop the node in order
  costs O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise
    O(1)
  since 7.0.0 Added the `NOW`, `FORCE` and `ABORT` modifiers.
  args nosave_save:oneof?( nosave:=NOSAVE save:=SAVE ) now:=NOW?@7.0.0 force:=FORCE?@7.0.0
  args abort:=ABORT?@7.0.0
slowlog -2 - - 2.2.12 server -
  is A container for slow log commands
  costs Depends on subcommand.
slowlog|get -2 admin,loading,stale - 2.2.12 server -
  is Get the slow log's entries
  costs O(N) where N is the number of entries returned
  tip request_policy:all_nodes
  tip nondeterministic_output
  since 4.0.0 Added client IP address, port and name to the reply.
  args count:integer?
slowlog|help 2 loading,stale - 6.2.0 server -
  is Show helpful text about the different subcommands
  costs O(1)
slowlog|len 2 admin,loading,stale - 2.2.12 server -
  is Get the slow log's length
  costs O(1)
  tip request_policy:all_nodes
  tip response_policy:agg_sum
  tip nondeterministic_output
slowlog|reset 2 admin,loading,stale - 2.2.12 server -
  is Clear all entries from the slow log
  costs O(N) where N is the number of entries in the slowlog
  tip request_policy:all_nodes
  tip response_policy:all_succeeded
time 1 loading,stale,fast - 2.6.0 server -
  is Return the current server time
  costs O(1)
  tip nondeterministic_output
cluster -2 - - 3.0.0 cluster -
  is A container for cluster commands
  costs Depends on subcommand.
cluster|countkeysinslot 3 stale - 3.0.0 cluster -
  is Return the number of local keys in the specified hash slot
  costs O(N) where N is the number of keys in the database
  args slot:integer
cluster|getkeysinslot 4 stale - 3.0.0 cluster -
  is Return local key names in the specified hash slot
  costs O(N) where N is the number of keys in the database
  tip nondeterministic_output
  args slot:integer count:integer
cluster|help 2 loading,stale - 5.0.0 cluster -
  is Show helpful text about the different subcommands
  costs O(1)
cluster|info 2 stale - 3.0.0 cluster -
  is Provides info about Redis Cluster node state
  costs O(1)
  tip nondeterministic_output
cluster|keyslot 3 stale - 3.0.0 cluster -
  is Returns the hash slot of the specified key
  costs O(N) where N is the number of bytes in the key
  args key:string
cluster|links 2 stale - 7.0.0 cluster -
  is Returns a list of all TCP links to and from peer nodes in cluster
  costs O(N) where N is the total number of Cluster nodes
  tip nondeterministic_output
cluster|myid 2 stale - 3.0.0 cluster -
  is Return the node id
  costs O(1)
cluster|myshardid 2 stale - 7.2.0 cluster -
  is Return the node shard id
  costs O(1)
cluster|nodes 2 stale - 3.0.0 cluster -
  is Get Cluster config for the node
  costs O(N) where N is the total number of Cluster nodes
  tip nondeterministic_output
cluster|replicas 3 admin,stale - 5.0.0 cluster -
  is List replica nodes of the specified master node
  costs O(1)
  tip nondeterministic_output
  args node-id:string
cluster|shards 2 stale - 7.0.0 cluster -
  is Get array of cluster slots to node mappings
  costs O(N) where N is the total number of cluster nodes
  tip nondeterministic_output
cluster|slaves 3 admin,stale - 3.0.0 cluster -
  is List replica nodes of the specified master node
  costs O(1)
  tip nondeterministic_output
  deprecated 5.0.0
  instead `CLUSTER REPLICAS`
  doc deprecated
  args node-id:string
cluster|slots 2 stale - 3.0.0 cluster -
  is Get array of Cluster slot to node mappings
  costs O(N) where N is the total number of Cluster nodes
  tip nondeterministic_output
  since 4.0.0 Added node IDs.
  since 7.0.0 Added additional networking metadata field.
  deprecated 7.0.0
  instead `CLUSTER SHARDS`
  doc deprecated
asking 1 fast connection 3.0.0 cluster -
  is Sent by cluster clients after an -ASK redirect
  costs O(1)
readonly 1 loading,stale,fast connection 3.0.0 cluster -
  is Enables read queries for a connection to a cluster replica node
  costs O(1)
readwrite 1 loading,stale,fast connection 3.0.0 cluster -
  is Disables read queries for a connection to a cluster replica node
  costs O(1)
"""
