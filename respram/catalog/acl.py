"""Catalog entries of users and their rights. Notation: `entry.py`."""

ENTRIES = """
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
"""
