-- redis-lua, as Debian packages it.
local redis = require 'redis'

io.stdout:setvbuf('no')
local host, port, auth_port = os.getenv('RESPRAM_HOST'), tonumber(os.getenv('RESPRAM_PORT')),
  tonumber(os.getenv('RESPRAM_AUTH_PORT'))

-- What the library does not have as a method.
redis.commands.hello = redis.command('HELLO')
redis.commands.pttl = redis.command('PTTL')

local function shown(value) return tostring(value):gsub('%s+', ' '):sub(1, 100) end
local function same(got, expected)
  if got ~= expected then error({ 'expected=' .. shown(expected) .. ' got=' .. shown(got) }) end
end
local function between(got, low, high)
  if not (got > low and got <= high) then error({ ('expected=%s..%s got=%s'):format(low, high, shown(got)) }) end
end
local function refused(words, call, ...)
  local worked, got = pcall(call, ...)
  if worked or not tostring(got):find(words, 1, true) then error({ 'expected=' .. words .. ' got=' .. shown(got) }) end
end
local function check(name, call)
  local worked, why = pcall(call)
  if worked then print('ok ' .. name)
  else print('fail ' .. name .. ' ' .. (type(why) == 'table' and why[1] or 'expected=no error got=' .. shown(why))) end
end
local function connect(at)
  local node = redis.connect(host, at or port)
  node.network.socket:settimeout(10)
  return node
end

print('version ' .. redis._VERSION:gsub('redis%-lua ', ''))
local node = connect()
check('connect', function() same(node:ping(), true) end)
check('resp2', function() same(node:hello('2')[6], 2) end)
print('skip resp3 this client speaks RESP2 only')
for _, form in ipairs({ { 'set-ex', 'EX', 60 }, { 'set-px', 'PX', 60000 }, { 'set-exat', 'EXAT', os.time() + 60 },
  { 'set-pxat', 'PXAT', (os.time() + 60) .. '000' } }) do
  check(form[1], function()
    same(node:set(form[1], 'v', form[2], form[3]), true)
    between(node:pttl(form[1]), 50000, 61000)
  end)
end
check('set-keepttl', function()
  node:setex('kept', 60, 'a')
  same(node:set('kept', 'b', 'KEEPTTL'), true)
  same(node:get('kept'), 'b')
  between(node:ttl('kept'), 50, 60)
end)
check('default-ttl', function() node:set('bare', 'v') between(node:ttl('bare'), 0, 1e12) end)
check('get', function() same(node:get('set-ex'), 'v') end)
check('get-missing', function() same(node:get('missing'), nil) end)
check('mget', function()
  local got = node:mget('set-ex', 'missing', 'set-px')
  same(got[1] .. tostring(got[2]) .. got[3], 'vnilv')
end)
check('set-nx', function()
  same(node:set('once', 'a', 'EX', 60, 'NX'), true)
  same(node:set('once', 'b', 'EX', 60, 'NX'), nil)
  same(node:get('once'), 'a')
end)
check('expire', function()
  node:setex('short', 600, 'v')
  same(node:expire('short', 100), true)
  between(node:ttl('short'), 95, 100)
end)
check('ttl', function() same(node:ttl('missing'), -2) between(node:ttl('set-ex'), 50, 60) end)
check('incr', function() same(node:incr('n') + node:incrby('n', 5), 7) same(node:incrbyfloat('f', 1.5), 1.5) end)
check('scan', function()
  for number = 1, 300 do node:setex('scan:' .. number, 60, 'v') end
  local cursor, seen, count = '0', {}, 0
  repeat
    local page = node:scan(cursor, { match = 'scan:*', count = 17 })
    cursor = page[1]
    for _, key in ipairs(page[2]) do
      if not seen[key] then seen[key], count = true, count + 1 end
    end
  until cursor == '0'
  same(count, 300)
end)
check('pipeline', function()
  local got = node:pipeline(function(pipe)
    for number = 1, 200 do pipe:setex('pipe:' .. number, 60, number) pipe:get('pipe:' .. number) end
  end)
  same(#got, 400)
  same(got[400], '200')
end)
check('multi', function() same(node:transaction(function(block) block:setex('m', 60, 1) block:incr('m') end)[2], 2) end)
check('watch', function()
  local mine = connect()
  mine:watch('watched')
  node:setex('watched', 60, '2')
  mine:multi()
  mine:setex('watched', 60, '3')
  same(mine:exec(), nil)
  same(node:get('watched'), '2')
end)
local function heard(pattern, act)
  local listener, got = connect(), nil
  for message, stop in listener:pubsub({ psubscribe = { pattern } }) do
    if message.kind == 'psubscribe' then act()
    elseif message.kind == 'pmessage' then got = message.payload stop() end
  end
  return got
end
check('publish-subscribe',
  function() same(heard('ne*', function() same(node:publish('news', 'one'), 1) end), 'one') end)
check('expired-event', function()
  same(heard('__keyevent@0__:expired', function() node:psetex('brief', 80, 'v') end), 'brief')
  same(node:get('brief'), nil)
end)
check('binary', function()
  local bytes = {}
  for number = 255, 0, -1 do bytes[#bytes + 1] = string.char(number) end
  bytes = table.concat(bytes)
  node:setex(bytes, 60, bytes)
  same(node:get(bytes) == bytes, true)
end)
check('mebibyte', function()
  local bytes = ('0123456789abcde\0'):rep(65536)
  node:setex('large', 60, bytes)
  same(node:strlen('large'), 1048576)
  same(node:get('large') == bytes, true)
end)
check('auth', function()
  local other = connect(auth_port)
  other:auth(os.getenv('RESPRAM_PASSWORD'))
  same(other:ping(), true)
end)
check('auth-refused', function()
  local other = connect(auth_port)
  refused('invalid username-password pair', other.auth, other, 'wrong')
end)
check('select', function()
  local other = connect()
  other:select(5)
  other:setex('there', 60, 'v')
  same(other:get('there') .. tostring(node:get('there')), 'vnil')
  refused('DB index is out of range', other.select, other, 99)
end)
check('del-refused', function()
  node:setex('stays', 60, 'v')
  refused('refused by design', node.del, node, 'stays')
  refused('refused by design', node.flushdb, node)
  same(node:get('stays'), 'v')
end)
check('del-in-multi', function()
  local other = connect()
  refused('refused by design', other.transaction, other,
    function(block) block:setex('sibling', 60, 'v') block:del('sibling') end)
  same(node:get('sibling'), 'v')
end)
check('restart', function()
  print('restart')
  same(io.read('*l'), 'restarted')
  local again = connect()
  same(again:setex('after', 60, 'v'), true)
  same(again:get('after'), 'v')
end)
print('skip tls this client has none')
print('done')
