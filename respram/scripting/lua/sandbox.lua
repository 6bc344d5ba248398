-- The room in which scripts run: what they see as globals, how they are called, how their errors are told.
--
-- This chunk is run once, with functions of the host as arguments (called `host_*`), and returns functions for it. A
-- script never holds a host function, or a table of this file that could be changed: what it sees are empty tables
-- that read through to the real ones (`protect`), and closures. Only strings, numbers, booleans and nil cross to the
-- host. Every host function returns; none raises.
--
-- Redis has changed its Lua so that tables can be read-only. Here the same follows from `protect`, and from wrapping
-- the few functions of Lua that look past a metatable.

local host_call, host_tick, host_arm, host_log, host_sha1, host_may, host_setresp, host_float, host_unfloat, host_fits,
    modules, memory_max, hook_count, pattern_steps_max, fast_command, fast_host, fast_bind, fast_json = ...

local assert, error, getmetatable, ipairs, loadstring, newproxy, next, pairs, pcall, rawequal, rawget, rawset, select,
    setfenv, setmetatable, tonumber, tostring, type, unpack, xpcall =
    assert, error, getmetatable, ipairs, loadstring, newproxy, next, pairs, pcall, rawequal, rawget, rawset, select,
    setfenv, setmetatable, tonumber, tostring, type, unpack, xpcall
local gcinfo, collectgarbage = gcinfo, collectgarbage
local string, table, math, coroutine, debug = string, table, math, coroutine, debug
local format, sub, byte, find, rep, concat, floor = string.format, string.sub, string.byte, string.find, string.rep,
  table.concat, math.floor
local getinfo, sethook = debug.getinfo, debug.sethook

local HERE = "=sandbox" -- how the name of every chunk of the sandbox begins, as `getinfo` gives it
local CONSTANTS = _G

-- What is compiled from here on finds no global at all: a slip in this file is an error, not a way out.
local NOTHING = setmetatable({}, {
  __index = function(_, name) error("sandbox: global " .. tostring(name), 2) end,
  __newindex = function(_, name) error("sandbox: global " .. tostring(name), 2) end,
})
setfenv(1, NOTHING)

-- -- a run by the engine --------------------------------------------------------------------------------------
-- The host runs scripts, or the engine does (native/lua.c), which knows no function of the host: then `fast` is true.
-- Such a run ends where it would need one (`hand_over`). The host then runs the script from its beginning, and answers
-- its commands as they were answered. So nothing that lasts may have been changed before.
local FAST_TICKS_MAX = 100 -- calls of the hook in a run by the engine, some 1 ms
local FAST_STEPS_MAX, STEPS_OF_A_TICK = 1000000, 20000 -- of a pattern: what one may need, and how it counts
local fast, ticks = false, 0
local dying = false -- the hook strikes at every instruction until the runner is reached
local hook

local function hand_over()
  dying = true
  sethook(hook, "", 1)
  error("handed over", 0)
end

local function by_host(called)
  return function(...)
    if fast then hand_over() end
    return select(1, called(...))
  end
end

local function all_by_host(library, ...)
  for _, name in ipairs({ ... }) do library[name] = by_host(library[name]) end
end

-- The same, where the engine can ask for it: it answers with a number, or nil and DECLINED.
local LOG_WANTED, MAY_WANTED, SETRESP_WANTED, ANY_FAULT = 1, 2, 3, 4 -- as native/lua.c numbers them

local function by_engine(called, wanted)
  return function(...)
    if not fast then return select(1, called(...)) end
    local number, declined = fast_host(wanted, ...)
    if declined then hand_over() end
    return number
  end
end

host_log, host_setresp = by_engine(host_log, LOG_WANTED), by_engine(host_setresp, SETRESP_WANTED)
do
  local ask = by_engine(host_may, MAY_WANTED)
  host_may = function(...)
    local allowed = ask(...)
    if not fast then return allowed end
    if allowed == -1 then return nil end
    return allowed == 1
  end
end

-- -- errors ----------------------------------------------------------------------------------------------------
-- A wrapped function has to fail as the C function would in whose place it stands: with the place of its caller.

local function is_sandbox(frame)
  return frame ~= nil and (sub(frame.source, 1, #HERE) == HERE or frame.what == "tail")
end

-- The level, seen from the caller of this function, of the outermost frame of the sandbox.
local function outermost()
  local level = 2 -- the caller
  while is_sandbox(getinfo(level + 1, "S")) do level = level + 1 end
  return level - 1
end

local function throw(message)
  error(message, outermost() + 1)
end

local function argument_error(index, reason)
  local level = outermost()
  local frame = getinfo(level, "n")
  local name = frame.name or "?"
  if frame.namewhat == "method" then
    index = index - 1
    if index == 0 then error(format("calling '%s' on bad self (%s)", name, reason), level + 1) end
  end
  error(format("bad argument #%d to '%s' (%s)", index, name, reason), level + 1)
end

local function type_error(index, expected, count, value)
  argument_error(index, format("%s expected, got %s", expected, index > count and "no value" or type(value)))
end

local PLACELESS = { -- what Lua says within a function of C without telling where
  ["not enough memory"] = true, ["invalid key to 'next'"] = true, ["table index is nil"] = true,
    ["table index is NaN"] = true,
}

-- What a native function said through `pcall`, where it has neither its name nor its place, said again with both.
local function say_again(message)
  if type(message) == "string" then
    local _, _, index, rest = find(message, "^bad argument #(%d+) to '%?' %((.*)%)$")
    if index then argument_error(tonumber(index), rest) end
    if PLACELESS[message] then error(message, 0) end
    throw(message)
  end
  error(message, 0)
end

-- Callers write `return select(1, relay(...))`: a tail call would lose the frame that says how they were called.
local function relay(ok, ...)
  if ok then return ... end
  say_again((...))
end

-- -- tables that cannot be changed -----------------------------------------------------------------------------
local REAL = setmetatable({}, { __mode = "k" }) -- what a script sees -> what is behind it
local READONLY = "Attempt to modify a readonly table"

local function protect(real)
  local seen = {}
  REAL[seen] = real
  return setmetatable(seen, {
    __index = real,
    __newindex = function() throw(READONLY) end,
  })
end

local METATABLE = protect({}) -- what scripts get for the metatable of a protected table

-- -- globals ---------------------------------------------------------------------------------------------------
local GLOBALS = {}
setmetatable(GLOBALS, {
  __index = function(_, name)
    if type(name) ~= "string" and type(name) ~= "number" then
      throw("Second argument to luaProtectedTableError must be a string or number")
    end
    throw(format("Script attempted to access nonexistent global variable '%s'", name))
  end,
})
local ENVIRONMENT = protect(GLOBALS)

local function copy(from)
  local to = {}
  for name, value in next, from do to[name] = value end
  return to
end

for _, name in ipairs({ "assert", "error", "ipairs", "rawequal", "select", "tonumber", "tostring", "type",
  "gcinfo" }) do
  GLOBALS[name] = CONSTANTS[name]
end
all_by_host(GLOBALS, "gcinfo") -- no two runs are told the same
GLOBALS._VERSION = CONSTANTS._VERSION
GLOBALS._G = ENVIRONMENT

function GLOBALS.rawget(...)
  local t, key = ...
  if type(t) == "table" and REAL[t] and select("#", ...) == 2 then return rawget(REAL[t], key) end
  return select(1, relay(pcall(rawget, ...)))
end

function GLOBALS.rawset(...)
  local t = ...
  if type(t) == "table" and REAL[t] then error(READONLY, 0) end
  return select(1, relay(pcall(rawset, ...)))
end

function GLOBALS.next(...)
  local t, key = ...
  if type(t) == "table" and REAL[t] then return select(1, relay(pcall(next, REAL[t], key))) end
  return select(1, relay(pcall(next, ...)))
end

function GLOBALS.pairs(...)
  local t = ...
  if type(t) == "table" then
    local real = REAL[t]
    if not real then return next, t, nil end
    return function(_, key) return next(real, key) end, t, nil
  end
  return select(1, relay(pcall(pairs, ...)))
end

function GLOBALS.getmetatable(...)
  local t = ...
  if type(t) == "table" and REAL[t] then return METATABLE end
  if select("#", ...) == 0 then argument_error(1, "value expected") end
  return getmetatable(t)
end

function GLOBALS.setmetatable(...)
  local t, metatable = ...
  if type(t) == "table" and select("#", ...) > 1 and (metatable == nil or type(metatable) == "table") then
    if REAL[t] then error(READONLY, 0) end
    return select(1, relay(pcall(setmetatable, t, metatable and REAL[metatable] or metatable)))
  end
  return select(1, relay(pcall(setmetatable, ...)))
end

-- As C casts a number to an int.
local function to_int(value)
  local whole = value < 0 and -floor(-value) or floor(value)
  if whole ~= whole or whole - whole ~= 0 then return -2147483648 end
  return (whole + 2147483648) % 4294967296 - 2147483648
end

-- Lua 5.1's own count of the results overflows, and it writes behind its stack then (CVE-2025-46817).
function GLOBALS.unpack(...)
  local t, from, to = ...
  if type(t) == "table" and (from ~= nil or to ~= nil) then
    local first, last = tonumber(from or 1), tonumber(to or #t)
    if first and last and type(from) ~= "table" and to_int(last) - to_int(first) >= 8000 then
      throw("too many results to unpack")
    end
    if first and last then return select(1, relay(pcall(unpack, t, to_int(first), to_int(last)))) end
  end
  return select(1, relay(pcall(unpack, ...)))
end

-- Redis's own pcall: an error table becomes its message, as it was before errors were tables.
local function as_message(ok, ...)
  if ok then return true, ... end
  local err = ...
  if type(err) == "table" then
    local message = err.err
    if type(message) == "string" or type(message) == "number" then return false, message end
    return false, err, message
  end
  return false, err
end

function GLOBALS.pcall(...)
  if select("#", ...) == 0 then return false, "attempt to call a boolean value" end
  return as_message(pcall(...))
end

-- Lua calls a handler where the error was thrown. Of one that the hook throws that is inside the hook, where no other
-- hook stops it: the script's own handler is left out then.
function GLOBALS.xpcall(...)
  local called, handler = ...
  if select("#", ...) < 2 then argument_error(2, "value expected") end
  return select(1, xpcall(called, function(err)
    if dying then return err end
    return select(1, handler(err))
  end))
end

-- Compiled code is not loaded: no verifier stands behind it. A blank before it makes the parser say what it is.
local function compile(text, name)
  name = name or text
  -- The parser keeps the name by its address alone, as far as the first NUL (CVE-2025-49844): this string stays where
  -- it is.
  name = sub(name, 1, (find(name, "\0", 1, true) or #name + 1) - 1)
  if not host_fits(text) then return nil, "more than four parameters before '...' are not supported" end
  if sub(name, 1, #HERE) == HERE then name = "=(load)" end -- nobody's code may pass for the sandbox's
  if byte(text, 1) == 27 then text = " " .. text end
  local made, message = loadstring(text, name)
  if made then setfenv(made, ENVIRONMENT) end
  return made, message
end

function GLOBALS.loadstring(...)
  local text, name = ...
  if type(text) == "number" then text = tostring(text) end
  if type(text) ~= "string" then type_error(1, "string", select("#", ...), text) end
  if name ~= nil and type(name) ~= "string" and type(name) ~= "number" then type_error(2, "string", 2, name) end
  local made, message = compile(text, name and tostring(name))
  if made then return made end
  return nil, message
end

function GLOBALS.load(...)
  local reader, name = ...
  if type(reader) ~= "function" then type_error(1, "function", select("#", ...), reader) end
  if name ~= nil and type(name) ~= "string" and type(name) ~= "number" then type_error(2, "string", 2, name) end
  local pieces = {}
  while true do
    local ok, piece = pcall(reader)
    if not ok then return nil, piece end
    if piece == nil or piece == "" then break end
    if type(piece) ~= "string" and type(piece) ~= "number" then return nil, "reader function must return a string" end
    pieces[#pieces + 1] = piece
  end
  local made, message = compile(concat(pieces), name and tostring(name) or "=(load)")
  if made then return made end
  return nil, message
end

-- Only what cannot outlive the script: a stopped or slowed collector would.
local HARMLESS = { collect = true, count = true, step = true }
function GLOBALS.collectgarbage(option, ...)
  if option == nil then return collectgarbage() end
  if HARMLESS[option] then return select(1, relay(pcall(collectgarbage, option, ...))) end
  if option == "stop" or option == "restart" or option == "setpause" or option == "setstepmul" then return 0 end
  return select(1, relay(pcall(collectgarbage, option, ...)))
end
all_by_host(GLOBALS, "collectgarbage")

-- -- coroutines: each has a hook of its own, or a script would leave its limits inside one ---------------------
local function create(...)
  local made = relay(pcall(coroutine.create, ...))
  sethook(made, hook, "", hook_count)
  return made
end

local function resumed(ok, ...)
  if ok then return ... end
  local message = ...
  if type(message) == "string" then throw(message) end
  error(message, 0)
end

local function wrap(...)
  local made = create(...)
  return function(...) return resumed(coroutine.resume(made, ...)) end
end

local COROUTINE = copy(coroutine)
COROUTINE.create, COROUTINE.wrap = create, wrap
GLOBALS.coroutine = protect(COROUTINE)

-- -- string ----------------------------------------------------------------------------------------------------
-- Lua's matcher runs in C, where no hook stops it, and some patterns take it for ever. So the work is bounded before:
-- a pattern that might take longer goes to a matcher written in Lua, which the hook does stop.
local SEARCH_BYTES_MAX = 1000000000 -- compared in the search for a plain string, about 0.1 s
local matcher = modules.patterns(throw)

local SHAPES_MAX, SHAPE_BYTES_MAX = 200, 100 -- patterns that are remembered, and how long they may be
local powers, factors, shapes = {}, {}, 0

-- What a pattern takes in C at most: a factor, times a power of the subject's length. No power: too much for any.
local function shape_of(pattern)
  local power, factor = powers[pattern], factors[pattern]
  if power then return power, factor end
  power, factor = byte(pattern, 1) == 94 and 0 or 1, #pattern + 1
  local at, quantifiers = find(pattern, "[*+?%-%%]"), 0
  while at do
    local mark = byte(pattern, at)
    if mark == 63 then
      factor = factor * 2
    elseif mark == 37 then
      local class = byte(pattern, at + 1)
      if class == 98 or (class and class >= 48 and class <= 57) then power = power + 1 end -- %b, %1
      at = at + 1
    else
      power = power + 1
    end
    quantifiers = quantifiers + 1
    if quantifiers > 60 then return nil end
    at = find(pattern, "[*+?%-%%]", at + 1)
  end
  if #pattern <= SHAPE_BYTES_MAX then
    if shapes == SHAPES_MAX then powers, factors, shapes = {}, {}, 0 end
    powers[pattern], factors[pattern], shapes = power, factor, shapes + 1
  end
  return power, factor
end

local function is_bounded(subject, pattern)
  if #subject * #pattern > (fast and FAST_STEPS_MAX or SEARCH_BYTES_MAX) then return false end
  local power, cost = shape_of(pattern)
  if not power then return false end
  cost = cost * (#subject + 1) ^ power
  if fast then
    if cost > FAST_STEPS_MAX then return false end
    ticks = ticks + cost / STEPS_OF_A_TICK
    return true
  end
  return cost <= pattern_steps_max
end

local function bounded(native, careful)
  return function(...)
    local subject, pattern = ...
    local left, right = type(subject), type(pattern)
    if left == "number" then subject, left = tostring(subject), "string" end
    if right == "number" then pattern, right = tostring(pattern), "string" end
    if left == "string" and right == "string" and not is_bounded(subject, pattern) then
      if fast then hand_over() end
      return select(1, careful(...))
    end
    return select(1, relay(pcall(native, ...)))
  end
end

local STRING = copy(string)
STRING.dump = nil
STRING.find = bounded(string.find, matcher.find)
STRING.match = bounded(string.match, matcher.match)
STRING.gmatch = bounded(string.gmatch, matcher.gmatch)

local gsub = bounded(string.gsub, matcher.gsub)

-- What a script's own function throws from within is passed on as it is.
function STRING.gsub(...)
  local subject, pattern, with, count = ...
  if type(with) ~= "function" then return select(1, gsub(...)) end
  local thrown
  local function called(ok, ...)
    if ok then return ... end
    thrown = { (...) }
    error((...), 0)
  end
  local function finished(ok, ...)
    if ok then return ... end
    if thrown then error(thrown[1], 0) end
    say_again((...))
  end
  return select(1, finished(pcall(gsub, subject, pattern, function(...) return select(1, called(pcall(with, ...))) end,
    count)))
end
if STRING.gfind then STRING.gfind = STRING.gmatch end

function STRING.rep(...)
  local text, count = ...
  if type(text) == "string" and type(count) == "number" then
    if text == "" or count < 1 then return "" end -- C's loop would run `count` times
    if #text * count > memory_max then error("not enough memory", 0) end
    return rep(text, count)
  end
  return select(1, relay(pcall(rep, ...)))
end

GLOBALS.string = protect(STRING)
do -- what `("x"):rep(3)` finds
  local of_strings = getmetatable("")
  of_strings.__index = STRING
  of_strings.__metatable = protect({ __index = GLOBALS.string })
end

-- -- table, math -----------------------------------------------------------------------------------------------
local TABLE = copy(table)
local insert = table.insert
function TABLE.insert(t, ...)
  if type(t) == "table" then
    if REAL[t] then error(READONLY, 0) end
    if select("#", ...) == 1 then return insert(t, (...)) end
  end
  return select(1, relay(pcall(insert, t, ...)))
end
GLOBALS.table = protect(TABLE)

local MATH = copy(math)
local random_state, set_random_state = modules.random(MATH, throw, argument_error, type_error)
GLOBALS.math = protect(MATH)

-- -- libraries that come with Redis ----------------------------------------------------------------------------
local NULL = newproxy(false) -- cjson.null: a userdata without a metatable
local CJSON = modules.cjson(NULL, throw, argument_error, type_error, fast_json)
all_by_host(CJSON, "encode_sparse_array", "encode_max_depth", "decode_max_depth", "encode_number_precision",
  "encode_keep_buffer", "encode_invalid_numbers", "decode_invalid_numbers") -- settings outlive a script
GLOBALS.cjson = protect(CJSON)
GLOBALS.cmsgpack = protect(modules.cmsgpack(throw, argument_error, type_error, host_float, host_unfloat))
GLOBALS.struct = protect(modules.struct(throw, argument_error, type_error, host_float, host_unfloat))
GLOBALS.bit = protect(modules.bit(argument_error, type_error))

-- -- redis -----------------------------------------------------------------------------------------------------
local replies = modules.replies(throw)
local parse = replies.parse

local function error_table(message, told)
  -- Told by a command or a check of one: it is counted already.
  local zero = find(message, "\0", 1, true)
  if zero then message = sub(message, 1, zero - 1) end
  local code, rest = "ERR", message
  if byte(message, 1) == 45 then
    local at = find(message, " ", 1, true)
    if at then code, rest = sub(message, 2, at - 1), sub(message, at + 1) else rest = sub(message, 2) end
  end
  rest = sub(rest, (find(rest, "[^\r\n]")) or #rest + 1)
  while #rest > 0 and find(sub(rest, -1), "[\r\n]") do rest = sub(rest, 1, -2) end
  return { err = code .. " " .. rest, ignore_error_stats_update = told }
end

local CROSSES = { string = true, number = true }

local function all_cross(count, first, ...)
  if count == 0 then return true end
  if not CROSSES[type(first)] then return false end
  return all_cross(count - 1, ...)
end

local function many_cross(...)
  local given = { ... }
  for index = 1, select("#", ...) do
    if not CROSSES[type(given[index])] then return false end
  end
  return true
end

local ARGUMENTS_ALONE = 8 -- checked without a table; more would be quadratic

local function arguments_fault(...)
  local count = select("#", ...)
  local a, b, c, d, e = ... -- as many as most commands have
  if count <= 5 and CROSSES[type(a)] and (count < 2 or CROSSES[type(b)]) and (count < 3 or CROSSES[type(c)])
    and (count < 4 or CROSSES[type(d)]) and (count < 5 or CROSSES[type(e)]) then
    return nil
  end
  if count == 0 then return "Please specify at least one argument for this redis lib call" end
  if not (count <= ARGUMENTS_ALONE and all_cross(count, ...) or count > ARGUMENTS_ALONE and many_cross(...)) then
    return "Lua redis lib command arguments must be strings or integers"
  end
end

local STATUS, FAULT, ENCODED, DECLINED = 1, 2, 3, 9

local function answer(value, kind, text, armed_off)
  if armed_off then host_arm() end
  if kind == nil then return value end
  if kind == DECLINED then hand_over() end
  if kind == STATUS then return { ok = text } end
  if kind == ENCODED then return (parse(text, 1)) end
  return error_table(text, true), true
end

local REDIS = {}

function REDIS.call(...)
  if fast then
    local value, kind, text = fast_command(...)
    if kind == nil then return value end
    local reply, failed = answer(value, kind, text)
    if failed then error(reply, 0) end
    return reply
  end
  local fault = arguments_fault(...)
  if fault then error(error_table(fault), 0) end
  local value, kind, text, armed_off = host_call(...)
  if kind == nil and not armed_off then return value end
  local reply, failed = answer(value, kind, text, armed_off)
  if failed then error(reply, 0) end
  return reply
end

function REDIS.pcall(...)
  if fast then
    local value, kind, text = fast_command(...)
    if kind == nil then return value end
    return (answer(value, kind, text))
  end
  local fault = arguments_fault(...)
  if fault then return error_table(fault) end
  local value, kind, text, armed_off = host_call(...)
  if kind == nil and not armed_off then return value end
  return (answer(value, kind, text, armed_off))
end

function REDIS.error_reply(...)
  local text = ...
  if select("#", ...) ~= 1 or type(text) ~= "string" then return error_table("wrong number or type of arguments") end
  if byte(text, 1) ~= 45 then text = "-" .. text end
  return error_table(text)
end

function REDIS.status_reply(...)
  local text = ...
  if select("#", ...) ~= 1 or type(text) ~= "string" then return error_table("wrong number or type of arguments") end
  return { ok = text }
end

function REDIS.sha1hex(...)
  if select("#", ...) ~= 1 then error(error_table("wrong number of arguments"), 0) end
  local text = ...
  if type(text) == "number" then text = tostring(text) end
  if type(text) ~= "string" then text = "" end
  local digest, armed_off = host_sha1(text)
  if armed_off and not fast then host_arm() end
  return digest
end

function REDIS.log(...)
  local count, level = select("#", ...), (...)
  if count < 2 then error(error_table("redis.log() requires two arguments or more."), 0) end
  level = tonumber(level)
  if not level then error(error_table("First argument must be a number (log level)."), 0) end
  level = level < 0 and -floor(-level) or floor(level)
  if not (level >= 0 and level <= 3) then error(error_table("Invalid debug level."), 0) end -- NaN is none either
  local size = 0
  for index = 2, count do
    local piece = select(index, ...)
    if CROSSES[type(piece)] then size = size + #tostring(piece) end
  end
  host_log(level, size)
end

function REDIS.setresp(...)
  if select("#", ...) ~= 1 then error(error_table("redis.setresp() requires one argument."), 0) end
  local version = tonumber((...)) or 0
  version = version < 0 and -floor(-version) or floor(version)
  if version ~= 2 and version ~= 3 then error(error_table("RESP version must be 2 or 3."), 0) end
  host_setresp(version)
  replies.version = version
end

function REDIS.set_repl(...)
  if select("#", ...) ~= 1 then error(error_table("redis.set_repl() requires two arguments."), 0) end
  local flags = tonumber((...)) or 0
  flags = flags < 0 and -floor(-flags) or floor(flags)
  if flags < 0 or flags > 3 then
    error(error_table("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."), 0)
  end
end

function REDIS.acl_check_cmd(...)
  local fault = arguments_fault(...)
  if fault then error(error_table(fault), 0) end
  local allowed = host_may(...)
  if allowed == nil then error(error_table("Invalid command passed to redis.acl_check_cmd()"), 0) end
  return allowed
end

function REDIS.replicate_commands() return true end
function REDIS.breakpoint() return false end
function REDIS.debug() end

REDIS.LOG_DEBUG, REDIS.LOG_VERBOSE, REDIS.LOG_NOTICE, REDIS.LOG_WARNING = 0, 1, 2, 3
REDIS.REPL_NONE, REDIS.REPL_AOF, REDIS.REPL_SLAVE, REDIS.REPL_REPLICA, REDIS.REPL_ALL = 0, 1, 2, 2, 3
REDIS.REDIS_VERSION, REDIS.REDIS_VERSION_NUM = modules.version, modules.version_number
GLOBALS.redis = protect(REDIS)

-- -- running ---------------------------------------------------------------------------------------------------
local KILLED = { [1] = "Script killed by user with SCRIPT KILL...",
  [2] = "Script ended: it ran for longer than a script may" }
local running = false

hook = function()
  local reason
  if fast then
    ticks = ticks + 1
    reason = (dying or ticks > FAST_TICKS_MAX) and 2
  else
    reason = host_tick()
  end
  if not (reason and running) then return end
  sethook(hook, "", 1)
  dying = true
  -- Never in this file, whose loops are bounded: what is caught here must be told. The next instruction of others ends
  -- it.
  if getinfo(2, "S").source ~= HERE then error(error_table(KILLED[reason]), 0) end
end

-- Where an uncaught error came from. Redis looks at the function that failed and, where that is one of C, at its
-- caller. A run of frames of the sandbox, with the C function that the innermost of them called, stands for one
-- function of C.
local function with_place(err)
  if fast and dying then return err end -- it is the host's to tell
  local level = 2
  local frame = getinfo(level, "Sl")
  if frame and frame.what == "C" and is_sandbox(getinfo(level + 1, "S")) then
    level = level + 1
    frame = getinfo(level, "Sl")
  end
  if is_sandbox(frame) then
    repeat
      level = level + 1
      frame = getinfo(level, "Sl")
    until not is_sandbox(frame)
  elseif frame and frame.what == "C" then
    frame = getinfo(level + 1, "Sl")
  end
  if type(err) ~= "table" or REAL[err] then err = { err = "ERR " .. tostring(err) } end
  if frame then
    rawset(err, "source", frame.source)
    rawset(err, "line", frame.currentline)
  end
  return err
end

local KEYS, ARGV -- filled by `stage` where there are too many for one call

local BULK, NUMBER, RESP, NULLED = 1, 2, 3, 4
local FAILED, BROKEN = 5, 6

local function outcome(ok, value, proto)
  if ok then
    local kind = type(value)
    if kind == "string" then return BULK, value end
    if kind == "number" and value == floor(value) and value < 9007199254740992 and value > -9007199254740992 then
      return NUMBER, value
    end
    if kind == "nil" then return NULLED end
    if kind == "table" then
      local message = rawget(value, "err")
      if type(message) == "string" then return FAILED, message, rawget(value, "ignore_error_stats_update") == true end
    end
    return RESP, replies.encode(value, proto)
  end
  if type(value) ~= "table" then
    local text = (type(value) == "string" or type(value) == "number") and tostring(value) or "execution failure"
    return BROKEN, text
  end
  local message, source, line = rawget(value, "err"), rawget(value, "source"), rawget(value, "line")
  if type(message) ~= "string" and type(message) ~= "number" then message = "(null)" end
  if (type(source) == "string" or type(source) == "number") and (type(line) == "string" or type(line) == "number") then
    return FAILED, tostring(message), rawget(value, "ignore_error_stats_update") == true, tostring(source),
      tostring(line)
  end
  return FAILED, tostring(message), rawget(value, "ignore_error_stats_update") == true
end

local function finish(proto, ok, value)
  running = false
  if dying then
    dying = false
    sethook(hook, "", hook_count)
  end
  GLOBALS.KEYS, GLOBALS.ARGV = nil, nil
  return outcome(ok, value, proto)
end

-- Runs a compiled script. The keys come first among the arguments; the answer is a kind, and what belongs to it.
local function run(script, proto, count, ...)
  local keys, argv = KEYS, ARGV
  if keys then
    KEYS, ARGV = nil, nil
  else
    local given = { ... }
    if count == 0 then
      keys, argv = {}, given
    else
      keys, argv = {}, {}
      for index = 1, count do keys[index] = given[index] end
      for index = count + 1, select("#", ...) do argv[index - count] = given[index] end
    end
  end
  GLOBALS.KEYS, GLOBALS.ARGV = keys, argv
  replies.version = 2
  host_arm()
  running = true
  return finish(proto, xpcall(script, with_place))
end

local KEPT, FREE = {}, {} -- compiled scripts that the engine may run, by number; numbers that are free again

local function keep(script)
  local number = #FREE > 0 and table.remove(FREE) or #KEPT + 1
  KEPT[number] = script
  return number
end

local function drop(number)
  KEPT[number] = false
  FREE[#FREE + 1] = number
end

local low, middle, high -- of math.random, before a run by the engine: one that is handed over begins there again

local function finish_fast(proto, ok, value)
  running, fast = false, false
  local _, declined = fast_host(ANY_FAULT, 0)
  local ended = dying or declined
  if dying then
    dying = false
    sethook(hook, "", hook_count)
  end
  GLOBALS.KEYS, GLOBALS.ARGV = nil, nil
  if not ended then
    local kind, found, told, source, line = outcome(ok, value, proto)
    if kind ~= BROKEN then return kind, found, told, source, line end
  end
  set_random_state(low, middle, high)
end

-- As `run`, for the engine. No outcome: the host is to run it.
local function run_fast(number, proto, keys, argv)
  if running or not KEPT[number] then return nil end
  GLOBALS.KEYS, GLOBALS.ARGV = keys, argv
  replies.version = 2
  low, middle, high = random_state()
  fast, ticks, running = true, 0, true
  return finish_fast(proto, xpcall(KEPT[number], with_place))
end
if fast_bind then fast_bind(run_fast) end

-- Keys, then arguments, in pieces, before `run`.
local function stage(is_key, ...)
  KEYS, ARGV = KEYS or {}, ARGV or {}
  local into = is_key and KEYS or ARGV
  for _, value in ipairs({ ... }) do into[#into + 1] = value end
end

local function load_script(text)
  if byte(text, 1) == 27 then text = " " .. text end
  local made, message = loadstring(text, "@user_script")
  if not made then return nil, message end
  setfenv(made, ENVIRONMENT)
  return made
end

local function idle_again() -- after an error that reached the host
  running, dying, fast = false, false, false
  KEYS, ARGV = nil, nil
  GLOBALS.KEYS, GLOBALS.ARGV = nil, nil
  sethook(hook, "", hook_count)
end

-- The real globals are emptied: whoever might reach them finds nothing.
for name in next, copy(CONSTANTS) do CONSTANTS[name] = nil end
GLOBALS.__redis__all = select -- for `return f()`, which would lose the frame and with it the line: see tails.py
sethook(hook, "", hook_count)
return run, stage, load_script, idle_again, keep, drop, replies.set_depth
