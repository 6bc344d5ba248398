"""Catalog entries of what clients of a cluster ask. Notation: `entry.py`."""

ENTRIES = """
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
