-- The `cjson` library that comes with Redis (Lua CJSON 2.1.0): the same bytes, the same messages.

local byte, sub, find, gsub, format, concat, char = string.byte, string.sub, string.find, string.gsub, string.format,
  table.concat, string.char
local floor, next, tonumber, tostring, type, select, error, lower = math.floor, next, tonumber, tostring, type, select,
  error, string.lower
local huge, INT_MAX, STACK_MAX = math.huge, 2147483647, 7990

local ESCAPED = { ['"'] = '\\"', ["\\"] = "\\\\", ["/"] = "\\/", ["\b"] = "\\b", ["\t"] = "\\t", ["\n"] = "\\n",
  ["\f"] = "\\f", ["\r"] = "\\r" }
for code = 0, 31 do
  local letter = char(code)
  ESCAPED[letter] = ESCAPED[letter] or format("\\u%04x", code)
end
ESCAPED["\127"] = "\\u007f"

local UNESCAPED = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", t = "\t", n = "\n", f = "\f", r = "\r" }

local SINGLE = { ["{"] = "T_OBJ_BEGIN", ["}"] = "T_OBJ_END", ["["] = "T_ARR_BEGIN", ["]"] = "T_ARR_END",
  [","] = "T_COMMA", [":"] = "T_COLON" }

-- What C's strtod takes at the beginning of a text: the number and where it ends; nil where there is none.
local function number_at(data, at)
  local sign = 1
  local start = at
  local mark = sub(data, at, at)
  if mark == "-" or mark == "+" then
    sign = mark == "-" and -1 or 1
    at = at + 1
  end
  local word = lower(sub(data, at, at + 7))
  if sub(word, 1, 3) == "inf" then return sign * huge, at + (word == "infinity" and 8 or 3) end
  if sub(word, 1, 3) == "nan" then
    local _, stop = find(data, "^%([%w_]*%)", at + 3)
    local nan = huge - huge -- of either sign
    return sign > 0 and -nan or nan, stop and stop + 1 or at + 3
  end
  local _, stop = find(data, "^0[xX]%x*%.?%x*", at)
  if stop and find(data, "^0[xX]%.?%x", at) then
    local digits = sub(data, at + 2, stop)
    local _, exponent_stop, exponent = find(data, "^[pP]([+-]?%d+)", stop + 1)
    local value, places, behind = 0, 0, false
    for index = 1, #digits do
      local digit = sub(digits, index, index)
      if digit == "." then
        behind = true
      else
        value = value * 16 + tonumber(digit, 16)
        if behind then places = places + 4 end
      end
    end
    return sign * value * 2 ^ ((tonumber(exponent) or 0) - places), (exponent_stop or stop) + 1
  end
  _, stop = find(data, "^%d+%.?%d*", at)
  if not stop then _, stop = find(data, "^%.%d+", at) end
  if not stop then return nil, start end
  local _, exponent_stop = find(data, "^[eE][+-]?%d+", stop + 1)
  stop = exponent_stop or stop
  return sign * tonumber(sub(data, at, stop)), stop + 1
end

local function utf8(code)
  if code <= 0x7f then return char(code) end
  if code <= 0x7ff then return char(0xc0 + floor(code / 64), 0x80 + code % 64) end
  if code <= 0xffff then return char(0xe0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64) end
  return char(0xf0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64, 0x80 + floor(code / 64) % 64,
    0x80 + code % 64)
end

-- `open_inside`: where the engine runs scripts, what makes it a cjson for ordinary texts and tables.
return function(null, throw, argument_error, type_error, open_inside)
  local inside_encode, inside_decode
  if open_inside then inside_encode, inside_decode = open_inside(null) end
  local new

  new = function()
    local config = {
      sparse_convert = false, sparse_ratio = 2, sparse_safe = 10, encode_depth = 1000, decode_depth = 1000,
      encode_invalid = 0, decode_invalid = 1, keep_buffer = true, precision = "%.14g", digits = 14,
    }
    local is_set = not open_inside -- whether a setting may be another than these

    -- -- encoding ------------------------------------------------------------------------------------------------
    local function refuse(value, reason)
      throw(format("Cannot serialise %s: %s", value == null and "userdata" or type(value), reason))
    end

    local function text_of(value)
      return '"' .. gsub(value, '[%z\1-\31"\\/\127]', ESCAPED) .. '"'
    end

    local function number_of(value)
      if value ~= value or value == huge or value == -huge then
        if config.encode_invalid == 0 then refuse(value, "must not be NaN or Inf") end
        if config.encode_invalid == 2 then return "null" end
        if value ~= value then return "nan" end
      end
      return format(config.precision, value)
    end

    local function array_length(value)
      local most, items = 0, 0
      for key in next, value do
        if type(key) ~= "number" or floor(key) ~= key or key < 1 then return -1 end
        if key > most then most = key end
        items = items + 1
      end
      if config.sparse_ratio > 0 and most > items * config.sparse_ratio and most > config.sparse_safe then
        if not config.sparse_convert then refuse(value, "excessively sparse array") end
        return -1
      end
      return most
    end

    local write

    local function write_table(value, depth, out)
      if depth > config.encode_depth then throw(format("Cannot serialise, excessive nesting (%d)", depth)) end
      local length = array_length(value)
      local separator = ""
      if length > 0 then
        out[#out + 1] = "["
        for index = 1, length do
          out[#out + 1] = separator
          write(value[index], depth, out)
          separator = ","
        end
        out[#out + 1] = "]"
        return
      end
      out[#out + 1] = "{"
      for key, inner in next, value do
        local kind = type(key)
        if kind == "number" then
          out[#out + 1] = separator .. '"' .. number_of(key) .. '":'
        elseif kind == "string" then
          out[#out + 1] = separator .. text_of(key) .. ":"
        else
          refuse(key, "table key must be a number or string")
        end
        separator = ","
        write(inner, depth, out)
      end
      out[#out + 1] = "}"
    end

    write = function(value, depth, out)
      local kind = type(value)
      if kind == "string" then
        out[#out + 1] = text_of(value)
      elseif kind == "number" then
        out[#out + 1] = number_of(value)
      elseif kind == "boolean" then
        out[#out + 1] = value and "true" or "false"
      elseif kind == "table" then
        write_table(value, depth + 1, out)
      elseif value == nil or value == null then
        out[#out + 1] = "null"
      else
        refuse(value, "type not supported")
      end
    end

    -- -- decoding ------------------------------------------------------------------------------------------------
    local function is_invalid_number(data, at)
      local mark = sub(data, at, at)
      if mark == "+" then return true end
      if mark == "-" then
        at = at + 1
        mark = sub(data, at, at)
      end
      if mark == "0" then return find(data, "^[xX0-9]", at + 1) ~= nil end
      if mark <= "9" then return false end
      local word = lower(sub(data, at, at + 2))
      return word == "inf" or word == "nan"
    end

    local function hex_at(data, at)
      local digits = sub(data, at, at + 3)
      return find(digits, "^%x%x%x%x$") and tonumber(digits, 16)
    end

    -- The text behind a quote: its value and where it ends, or nil, where it broke off, and why.
    local function string_at(data, at)
      local start = at
      local out
      while true do
        local stop = find(data, '["\\%z]', start)
        if not stop then return nil, #data + 1, "unexpected end of string" end
        local mark = byte(data, stop)
        if mark == 0 then return nil, stop, "unexpected end of string" end
        if mark == 34 then
          if not out then return sub(data, start, stop - 1), stop + 1 end
          out[#out + 1] = sub(data, start, stop - 1)
          return concat(out), stop + 1
        end
        out = out or {}
        out[#out + 1] = sub(data, start, stop - 1)
        local letter = sub(data, stop + 1, stop + 1)
        if letter == "u" then
          local code = hex_at(data, stop + 2)
          local size = 6
          if code and code >= 0xd800 and code <= 0xdfff then
            local second = code < 0xdc00 and sub(data, stop + 6, stop + 7) == "\\u" and hex_at(data, stop + 8)
            if second and second >= 0xdc00 and second <= 0xdfff then
              code, size = (code % 1024) * 1024 + second % 1024 + 0x10000, 12
            else
              code = nil
            end
          end
          if not code then return nil, stop, "invalid unicode escape code" end
          out[#out + 1] = utf8(code)
          start = stop + size
        elseif UNESCAPED[letter] then
          out[#out + 1] = UNESCAPED[letter]
          start = stop + 2
        else
          return nil, stop, "invalid escape code"
        end
      end
    end

    -- One token: its type, where the next one begins, its value, and where it was found.
    local function token(data, at)
      at = find(data, "[^ \t\r\n]", at) or #data + 1
      local mark = sub(data, at, at)
      if mark == "" or mark == "\0" then return "T_END", at, nil, at end
      if SINGLE[mark] then return SINGLE[mark], at + 1, nil, at end
      if mark == '"' then
        local text, stop, fault = string_at(data, at + 1)
        if text then return "T_STRING", stop, text, at end
        return "T_ERROR", stop, fault, stop
      end
      local numeric = find(mark, "[-0-9]") ~= nil
      if numeric then
        if config.decode_invalid == 0 and is_invalid_number(data, at) then
          return "T_ERROR", at, "invalid number", at
        end
      elseif sub(data, at, at + 3) == "true" then
        return "T_BOOLEAN", at + 4, true, at
      elseif sub(data, at, at + 4) == "false" then
        return "T_BOOLEAN", at + 5, false, at
      elseif sub(data, at, at + 3) == "null" then
        return "T_NULL", at + 4, nil, at
      elseif not find(mark, "[iInN+]") or config.decode_invalid == 0 or not is_invalid_number(data, at) then
        return "T_ERROR", at, "invalid token", at
      end
      local number, stop = number_at(data, at)
      if not number then return "T_ERROR", at, "invalid number", at end
      return "T_NUMBER", stop, number, at
    end

    local function fail(expected, kind, value, at)
      throw(format("Expected %s but found %s at character %d", expected, kind == "T_ERROR" and value or kind, at))
    end

    local process

    local function descend(depth, at, slots)
      if depth > config.decode_depth or depth * slots > STACK_MAX then
        throw(format("Found too many nested data structures (%d) at character %d", depth, at - 1))
      end
    end

    local function object(data, at, depth)
      descend(depth, at, 3)
      local found = {}
      local kind, value, where
      kind, at, value, where = token(data, at)
      if kind == "T_OBJ_END" then return found, at end
      while true do
        if kind ~= "T_STRING" then fail("object key string", kind, value, where) end
        local key = value
        kind, at, value, where = token(data, at)
        if kind ~= "T_COLON" then fail("colon", kind, value, where) end
        kind, at, value, where = token(data, at)
        found[key], at = process(data, kind, at, value, where, depth)
        kind, at, value, where = token(data, at)
        if kind == "T_OBJ_END" then return found, at end
        if kind ~= "T_COMMA" then fail("comma or object end", kind, value, where) end
        kind, at, value, where = token(data, at)
      end
    end

    local function array(data, at, depth)
      descend(depth, at, 2)
      local found = {}
      local kind, value, where
      kind, at, value, where = token(data, at)
      if kind == "T_ARR_END" then return found, at end
      local index = 1
      while true do
        found[index], at = process(data, kind, at, value, where, depth)
        kind, at, value, where = token(data, at)
        if kind == "T_ARR_END" then return found, at end
        if kind ~= "T_COMMA" then fail("comma or array end", kind, value, where) end
        kind, at, value, where = token(data, at)
        index = index + 1
      end
    end

    process = function(data, kind, at, value, where, depth)
      if kind == "T_STRING" or kind == "T_NUMBER" or kind == "T_BOOLEAN" then return value, at end
      if kind == "T_NULL" then return null, at end
      local found
      if kind == "T_OBJ_BEGIN" then
        found, at = object(data, at, depth + 1)
        return found, at
      end
      if kind == "T_ARR_BEGIN" then
        found, at = array(data, at, depth + 1)
        return found, at
      end
      fail("value", kind, value, where)
    end

    -- -- settings: they last, as in Redis -------------------------------------------------------------------------
    local function at_most(most, ...)
      is_set = true
      if select("#", ...) > most then argument_error(most + 1, "found too many arguments") end
      return ...
    end

    local function whole(index, value, name, least, most)
      if value == nil then return config[name] end
      local number = tonumber(value)
      if not number or (type(value) ~= "number" and type(value) ~= "string") then
        type_error(index, "number", index, value)
      end
      number = number < 0 and -floor(-number) or floor(number)
      if number < least or number > most then
        argument_error(1, format("expected integer between %d and %d", least, most))
      end
      config[name] = number
      return number
    end

    local function choice(index, value, options)
      if type(value) == "number" then value = tostring(value) end
      if type(value) ~= "string" then type_error(index, "string", index, value) end
      local chosen = options[value]
      if chosen == nil then argument_error(index, "invalid option '" .. value .. "'") end
      return chosen
    end

    local ON_OFF = { off = false, on = true }

    local function switch(index, value, name)
      if value ~= nil then
        if type(value) ~= "boolean" then value = choice(index, value, ON_OFF) end
        config[name] = value
      end
      return config[name]
    end

    local function data_of(count, value)
      if count ~= 1 then argument_error(1, "expected 1 argument") end
      if type(value) == "number" then return tostring(value) end
      if type(value) ~= "string" then type_error(1, "string", count, value) end
      return value
    end

    local library = { null = null, _NAME = "cjson", _VERSION = "2.1.0" }

    function library.encode(...)
      if select("#", ...) ~= 1 then argument_error(1, "expected 1 argument") end
      if not is_set then
        local text = inside_encode((...))
        if text then return text end
      end
      local out = {}
      write((...), 0, out)
      return concat(out)
    end

    function library.decode(...)
      local data = data_of(select("#", ...), (...))
      if not is_set then
        local done, found = inside_decode(data)
        if done then return found end
      end
      if #data >= 2 and (byte(data, 1) == 0 or byte(data, 2) == 0) then
        throw("JSON parser does not support UTF-16 or UTF-32")
      end
      local kind, at, value, where = token(data, 1)
      local found
      found, at = process(data, kind, at, value, where, 0)
      kind, at, value, where = token(data, at)
      if kind ~= "T_END" then fail("the end", kind, value, where) end
      return found
    end

    function library.encode_sparse_array(...)
      local convert, ratio, safe = at_most(3, ...)
      convert = switch(1, convert, "sparse_convert")
      ratio = whole(2, ratio, "sparse_ratio", 0, INT_MAX)
      return convert, ratio, (whole(3, safe, "sparse_safe", 0, INT_MAX))
    end

    function library.encode_max_depth(...) return (whole(1, (at_most(1, ...)), "encode_depth", 1, INT_MAX)) end
    function library.decode_max_depth(...) return (whole(1, (at_most(1, ...)), "decode_depth", 1, INT_MAX)) end

    function library.encode_number_precision(...)
      local digits = whole(1, (at_most(1, ...)), "digits", 1, 14)
      config.precision = "%." .. digits .. "g"
      return digits
    end

    function library.encode_keep_buffer(...) return (switch(1, (at_most(1, ...)), "keep_buffer")) end

    function library.encode_invalid_numbers(...)
      local value = at_most(1, ...)
      if type(value) == "boolean" then
        config.encode_invalid = value and 1 or 0
      elseif value ~= nil then
        config.encode_invalid = choice(1, value, { off = 0, on = 1, null = 2 })
      end
      if config.encode_invalid == 2 then return "null" end
      return config.encode_invalid == 1
    end

    function library.decode_invalid_numbers(...)
      local value = at_most(1, ...)
      if value ~= nil then
        if type(value) ~= "boolean" then value = choice(1, value, ON_OFF) end
        config.decode_invalid = value and 1 or 0
      end
      return config.decode_invalid == 1
    end

    function library.new() return (new()) end
    return library
  end
  return new()
end
