-- Between Redis's replies and Lua's values, both ways, as Redis converts them: bytes in, bytes out.

local byte, sub, find, format, concat, gsub, next, rawget, tonumber, type =
  string.byte, string.sub, string.find, string.format, table.concat, string.gsub, next, rawget, tonumber, type

local HUGE = math.huge
local SIMPLE, MINUS, COLON, DOLLAR, STAR = 43, 45, 58, 36, 42
local UNDERSCORE, HASH, COMMA, BRACKET, EQUALS, PERCENT, TILDE, ANGLE, BAR = 95, 35, 44, 40, 61, 37, 126, 62, 124

return function()
  local replies = { version = 2 }
  local depth_max = 7900 -- of tables within tables in an answer; set from outside

  -- The value at a position, and where the next one begins.
  local function parse(data, at)
    local kind = byte(data, at)
    local stop = find(data, "\r", at, true)
    local line = sub(data, at + 1, stop - 1)
    at = stop + 2
    if kind == DOLLAR then
      local length = tonumber(line)
      if length < 0 then return false, at end
      return sub(data, at, at + length - 1), at + length + 2
    elseif kind == COLON then
      return tonumber(line), at
    elseif kind == STAR or kind == ANGLE then
      local count = tonumber(line)
      if count < 0 then return false, at end
      local found = {}
      for index = 1, count do
        local value
        value, at = parse(data, at)
        found[index] = value
      end
      return found, at
    elseif kind == SIMPLE then
      return { ok = line }, at
    elseif kind == MINUS then
      return { err = line, ignore_error_stats_update = true }, at
    elseif kind == UNDERSCORE then
      return nil, at
    elseif kind == HASH then
      return line == "t", at
    elseif kind == COMMA then
      local number = line == "inf" and HUGE or line == "-inf" and -HUGE or tonumber(line)
      return { double = number }, at
    elseif kind == BRACKET then
      return { big_number = line }, at
    elseif kind == EQUALS then
      local length = tonumber(line)
      return { verbatim_string = { string = sub(data, at + 4, at + length - 1), format = sub(data, at, at + 2) } },
        at + length + 2
    elseif kind == PERCENT then
      local map = {}
      for _ = 1, tonumber(line) do
        local key, value
        key, at = parse(data, at)
        value, at = parse(data, at)
        map[key] = value
      end
      return { map = map }, at
    elseif kind == TILDE then
      local set = {}
      for _ = 1, tonumber(line) do
        local member
        member, at = parse(data, at)
        set[member] = true
      end
      return { set = set }, at
    elseif kind == BAR then -- attributes are passed over
      for _ = 1, 2 * tonumber(line) do
        local _, behind = parse(data, at)
        at = behind
      end
      return parse(data, at)
    end
  end
  replies.parse = parse

  local function one_line(text)
    local zero = find(text, "\0", 1, true)
    if zero then text = sub(text, 1, zero - 1) end
    return (gsub(text, "[\r\n]", " "))
  end

  local function bulk(text)
    return "$" .. #text .. "\r\n" .. text .. "\r\n"
  end

  local write -- (value, proto, depth, out): appends to `out`, so that a deep answer is not copied at each level

  -- Whether a table stands for another kind of reply than an array; it is written then.
  local function special(value, proto, depth, out)
    local text = rawget(value, "err")
    if type(text) == "string" then
      out[#out + 1] = "-" .. one_line((gsub(text, "[\r\n]+$", ""))) .. "\r\n"
      return true
    end
    text = rawget(value, "ok")
    if type(text) == "string" then
      out[#out + 1] = "+" .. one_line(text) .. "\r\n"
      return true
    end
    local number = rawget(value, "double")
    if type(number) == "number" then
      local digits = number == HUGE and "inf" or number == -HUGE and "-inf" or format("%.17g", number)
      out[#out + 1] = proto == 3 and "," .. digits .. "\r\n" or bulk(digits)
      return true
    end
    text = rawget(value, "big_number")
    if type(text) == "string" then
      text = gsub(text, "[\r\n]", " ")
      out[#out + 1] = proto == 3 and "(" .. text .. "\r\n" or bulk(text)
      return true
    end
    local verbatim = rawget(value, "verbatim_string")
    if type(verbatim) == "table" then
      local name, body = rawget(verbatim, "format"), rawget(verbatim, "string")
      if type(name) == "string" and type(body) == "string" then
        local zero = find(name, "\0", 1, true)
        name = sub((zero and sub(name, 1, zero - 1) or name) .. "   ", 1, 3)
        out[#out + 1] = proto == 3 and "=" .. #body + 4 .. "\r\n" .. name .. ":" .. body .. "\r\n" or bulk(body)
        return true
      end
    end
    local map = rawget(value, "map")
    if type(map) == "table" then
      local count, head = 0, #out + 1
      out[head] = ""
      for key, inner in next, map do
        write(key, proto, depth + 3, out)
        write(inner, proto, depth + 2, out)
        count = count + 1
      end
      out[head] = (proto == 3 and "%" .. count or "*" .. 2 * count) .. "\r\n"
      return true
    end
    local set = rawget(value, "set")
    if type(set) == "table" then
      local count, head = 0, #out + 1
      out[head] = ""
      for member in next, set do
        write(member, proto, depth + 2, out)
        count = count + 1
      end
      out[head] = (proto == 3 and "~" or "*") .. count .. "\r\n"
      return true
    end
    return false
  end

  local function simple(value, kind, proto)
    if kind == "string" then return bulk(value) end
    if kind == "number" then return format(":%d\r\n", value) end
    if kind == "boolean" then
      if replies.version == 3 then
        if proto == 3 then return value and "#t\r\n" or "#f\r\n" end
        return value and ":1\r\n" or ":0\r\n"
      end
      if value then return ":1\r\n" end
    end
    return proto == 3 and "_\r\n" or "$-1\r\n"
  end

  write = function(value, proto, depth, out)
    if depth > depth_max then
      out[#out + 1] = "-ERR reached lua stack limit\r\n"
      return
    end
    local kind = type(value)
    if kind ~= "table" then
      out[#out + 1] = simple(value, kind, proto)
      return
    end
    if special(value, proto, depth, out) then return end
    local index, head = 1, #out + 1
    out[head] = ""
    while true do
      local inner = rawget(value, index)
      if inner == nil then break end
      write(inner, proto, depth + 1, out)
      index = index + 1
    end
    out[head] = "*" .. index - 1 .. "\r\n"
  end

  function replies.encode(value, proto)
    local kind = type(value)
    if kind ~= "table" then return simple(value, kind, proto) end
    local out = {}
    write(value, proto, 0, out)
    return concat(out)
  end

  function replies.set_depth(most) depth_max = most end
  return replies
end
