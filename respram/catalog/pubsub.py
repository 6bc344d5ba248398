"""Catalog entries of publish and subscribe. Notation: `entry.py`."""

ENTRIES = """
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
"""
