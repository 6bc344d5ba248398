-- The checks, run inside nginx: `require("checks")(name)` answers "ok" or what was expected and what came.
local redis = require 'nginx.redis'

local host, port, auth_port = os.getenv('RESPRAM_HOST'), tonumber(os.getenv('RESPRAM_PORT')),
  tonumber(os.getenv('RESPRAM_AUTH_PORT'))
local TIMEOUT_MS = 10000
local checks = {}

local function shown(value) return tostring(value):gsub('%s+', ' '):sub(1, 100) end
local function same(got, expected)
  if got ~= expected then error({ 'expected=' .. shown(expected) .. ' got=' .. shown(got) }) end
end
local function between(got, low, high)
  if not (type(got) == 'number' and got > low and got <= high) then
    error({ ('expected=%s..%s got=%s'):format(low, high, shown(got)) })
  end
end
-- An error of the server arrives as false and its text.
local function refused(words, got, why)
  if got ~= false or not tostring(why):find(words, 1, true) then
    error({ 'expected=' .. words .. ' got=' .. shown(why or got) })
  end
end
local function connect(at)
  local node = redis:new()
  node:set_timeout(TIMEOUT_MS)
  local connected, why = node:connect(host, at or port)
  if not connected then error({ 'expected=a connection got=' .. shown(why) }) end
  return node
end

checks['connect'] = function(node) same(node:ping(), 'PONG') end
checks['resp2'] = function(node) same(node:hello('2')[6], 2) end
local function form(name, word, time)
  return function(node)
    same(node:set(name, 'v', word, time()), 'OK')
    between(node:pttl(name), 50000, 61000)
  end
end
checks['set-ex'] = form('set-ex', 'EX', function() return 60 end)
checks['set-px'] = form('set-px', 'PX', function() return 60000 end)
checks['set-exat'] = form('set-exat', 'EXAT', function() return os.time() + 60 end)
checks['set-pxat'] = form('set-pxat', 'PXAT', function() return (os.time() + 60) .. '000' end)
checks['set-keepttl'] = function(node)
  node:setex('kept', 60, 'a')
  same(node:set('kept', 'b', 'KEEPTTL'), 'OK')
  same(node:get('kept'), 'b')
  between(node:ttl('kept'), 50, 60)
end
checks['default-ttl'] = function(node) node:set('bare', 'v') between(node:ttl('bare'), 0, 1e12) end
checks['get'] = function(node) same(node:get('set-ex'), 'v') end
checks['get-missing'] = function(node) same(node:get('missing'), ngx.null) end
checks['mget'] = function(node)
  local got = node:mget('set-ex', 'missing', 'set-px')
  same(got[1] .. tostring(got[2] == ngx.null) .. got[3], 'vtruev')
end
checks['set-nx'] = function(node)
  same(node:set('once', 'a', 'EX', 60, 'NX'), 'OK')
  same(node:set('once', 'b', 'EX', 60, 'NX'), ngx.null)
  same(node:get('once'), 'a')
end
checks['expire'] = function(node)
  node:setex('short', 600, 'v')
  same(node:expire('short', 100), 1)
  between(node:ttl('short'), 95, 100)
end
checks['ttl'] = function(node) same(node:ttl('missing'), -2) between(node:ttl('set-ex'), 50, 60) end
checks['incr'] = function(node)
  same(node:incr('n') + node:incrby('n', 5), 7)
  same(node:incrbyfloat('f', 1.5), '1.5')
end
checks['scan'] = function(node)
  for number = 1, 300 do node:setex('scan:' .. number, 60, 'v') end
  local cursor, seen, count = '0', {}, 0
  repeat
    local page = node:scan(cursor, 'MATCH', 'scan:*', 'COUNT', 17)
    cursor = page[1]
    for _, key in ipairs(page[2]) do
      if not seen[key] then seen[key], count = true, count + 1 end
    end
  until cursor == '0'
  same(count, 300)
end
checks['pipeline'] = function(node)
  node:init_pipeline()
  for number = 1, 200 do node:setex('pipe:' .. number, 60, number) node:get('pipe:' .. number) end
  local got = node:commit_pipeline()
  same(#got, 400)
  for number = 1, 200 do same(got[2 * number], tostring(number)) end
end
checks['multi'] = function(node)
  same(node:multi(), 'OK')
  same(node:setex('m', 60, 1), 'QUEUED')
  node:incr('m')
  same(node:exec()[2], 2)
end
checks['watch'] = function(node)
  local mine = connect()
  mine:watch('watched')
  node:setex('watched', 60, '2')
  mine:multi()
  mine:setex('watched', 60, '3')
  same(mine:exec(), ngx.null)
  same(node:get('watched'), '2')
end
local function heard(pattern, act)
  local listener = connect()
  same(listener:psubscribe(pattern)[1], 'psubscribe')
  act()
  local got, why = listener:read_reply()
  if not got then error({ 'expected=a message got=' .. shown(why) }) end
  return got[4]
end
checks['publish-subscribe'] = function(node)
  same(heard('ne*', function() same(node:publish('news', 'one'), 1) end), 'one')
end
checks['expired-event'] = function(node)
  same(heard('__keyevent@0__:expired', function() node:psetex('brief', 80, 'v') end), 'brief')
  same(node:get('brief'), ngx.null)
end
checks['binary'] = function(node)
  local bytes = {}
  for number = 255, 0, -1 do bytes[#bytes + 1] = string.char(number) end
  bytes = table.concat(bytes)
  node:setex(bytes, 60, bytes)
  same(node:get(bytes) == bytes, true)
end
checks['mebibyte'] = function(node)
  local bytes = ('0123456789abcde\0'):rep(65536)
  same(node:setex('large', 60, bytes), 'OK')
  same(node:strlen('large'), 1048576)
  same(node:get('large') == bytes, true)
end
checks['auth'] = function()
  local other = connect(auth_port)
  same(other:auth(os.getenv('RESPRAM_PASSWORD')), 'OK')
  same(other:ping(), 'PONG')
end
checks['auth-refused'] = function() refused('invalid username-password pair', connect(auth_port):auth('wrong')) end
checks['select'] = function(node)
  local other = connect()
  other:select(5)
  other:setex('there', 60, 'v')
  same(other:get('there'), 'v')
  same(node:get('there'), ngx.null)
  refused('DB index is out of range', other:select(99))
end
checks['del-refused'] = function(node)
  node:setex('stays', 60, 'v')
  refused('refused by design', node:del('stays'))
  refused('refused by design', node:flushdb())
  same(node:get('stays'), 'v')
end
checks['del-in-multi'] = function(node)
  node:multi()
  node:setex('sibling', 60, 'v')
  node:del('sibling')
  local got = node:exec()
  same(got[1], 'OK')
  refused('refused by design', got[2][1], got[2][2])
  same(node:get('sibling'), 'v')
end
-- The node has ended and come back; the connection that nginx kept in its pool since the check before is a dead one.
checks['restart'] = function(node)
  local worked = node:setex('after', 60, 'v')
  if not worked then
    node = connect()
    same(node:setex('after', 60, 'v'), 'OK')
  end
  same(node:get('after'), 'v')
end

return function(name)
  if name == 'version' then return ngx.say(redis._VERSION .. ' in nginx ' .. ngx.var.nginx_version) end
  local worked, why = pcall(function()
    local node = connect()
    checks[name](node)
    node:set_keepalive(60000, 4)
  end)
  if worked then ngx.say('ok')
  else ngx.say(type(why) == 'table' and why[1] or 'expected=no error got=' .. shown(why)) end
end
