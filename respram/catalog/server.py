"""Catalog entries of commands that ask or tell the node itself. Notation: `entry.py`."""

ENTRIES = """
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
  is A container for commands that only respram has
  costs Depends on subcommand.
respram|digest -2 readonly,loading,stale - 1.0.0 server -
  is Return the number and the sum of the settled records; they agree on nodes that hold the same
  costs O(1)
  args at:integer?
respram|expel 3 admin,noscript,loading,stale admin,dangerous 1.0.0 server -
  is Expel the peers whose certificates a signed revocation list names, on all nodes
  costs O(N) where N is the number of certificates on the list
  args list:string
respram|help 2 loading,stale - 1.0.0 server -
  is Show what the subcommands do
  costs O(1)
respram|home 3 loading,stale,fast - 1.0.0 server -
  is Return the slot of a key, and the node that decides about the key
  costs O(1)
  args key:string
respram|peers 2 loading,stale - 1.0.0 server -
  is List the peers that this node has a link to, or should have one to
  costs O(N) where N is the number of peers
respram|refused 2 admin,loading,stale - 1.0.0 server -
  is List refusals by command, client name and user
  costs O(N) where N is the number of kinds of refusals
respram|state 2 loading,stale,fast - 1.0.0 server -
  is Return the state of this node: loading, joining, alone, ready or isolated
  costs O(1)
respram|token 3 readonly - 1.0.0 server 2/2/1
  shape reads
  is Return the stamp of a key as a number that grows with each decision about the key
  costs O(1)
  keys 2 range 0 1 0 RO
  args key:key
respram|topology 2 loading,stale - 1.0.0 server -
  is List all nodes of the network and their places in the tree
  costs O(N) where N is the number of nodes
respram|version 2 loading,stale - 1.0.0 server -
  is Return the version of respram
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
"""
