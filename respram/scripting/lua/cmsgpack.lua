-- MessagePack, as the library that comes with Redis writes and reads it.

local byte, sub, char, concat, reverse, format = string.byte, string.sub, string.char, table.concat, string.reverse,
  string.format
local floor, next, tonumber, type, select, unpack, error = math.floor, next, tonumber, type, select, unpack, error
local NESTING_MAX, INT_MAX, TWO_63 = 16, 2147483647, 2 ^ 63

return function(throw, argument_error, type_error, host_float, host_unfloat)
  local function big_endian(number, size)
    local parts = {}
    for place = size, 1, -1 do
      local low = number % 256
      parts[place] = low
      number = (number - low) / 256
    end
    return char(unpack(parts))
  end

  -- A negative number of 64 bits, in two's complement, without leaving the whole numbers that a double holds.
  local function negative(number, size)
    local parts, rest, carry = {}, -number, 1
    for place = size, 1, -1 do
      local low = rest % 256
      rest = (rest - low) / 256
      low = 255 - low + carry
      carry = low > 255 and 1 or 0
      parts[place] = low % 256
    end
    return char(unpack(parts))
  end

  local function integer(number)
    if number >= 0 then
      if number <= 127 then return char(number) end
      if number <= 0xff then return "\204" .. char(number) end
      if number <= 0xffff then return "\205" .. big_endian(number, 2) end
      if number <= 0xffffffff then return "\206" .. big_endian(number, 4) end
      return "\207" .. big_endian(number, 8)
    end
    if number >= -32 then return char(256 + number) end
    if number >= -128 then return "\208" .. char(256 + number) end
    if number >= -32768 then return "\209" .. negative(number, 2) end
    if number >= -2147483648 then return "\210" .. negative(number, 4) end
    return "\211" .. negative(number, 8)
  end

  local function number_bytes(number)
    if number == floor(number) and number >= -TWO_63 and number < TWO_63 then return integer(number) end
    local single = host_float(number, 4)
    if host_unfloat(single) == number then return "\202" .. reverse(single) end
    return "\203" .. reverse(host_float(number, 8))
  end

  local function text_bytes(text)
    local length = #text
    if length < 32 then return char(0xa0 + length) .. text end
    if length <= 0xff then return "\217" .. char(length) .. text end
    if length <= 0xffff then return "\218" .. big_endian(length, 2) .. text end
    return "\219" .. big_endian(length, 4) .. text
  end

  local function counted(count, short, sixteen, thirty_two)
    if count <= 15 then return char(short + count) end
    if count <= 65535 then return sixteen .. big_endian(count, 2) end
    return thirty_two .. big_endian(count, 4)
  end

  local function is_array(value)
    local count, most = 0, 0
    for key in next, value do
      if type(key) ~= "number" or key <= 0 or key ~= floor(key) or key > INT_MAX then return false end
      if key > most then most = key end
      count = count + 1
    end
    return most == count
  end

  local function write(value, level, out)
    local kind = type(value)
    if kind == "string" then
      out[#out + 1] = text_bytes(value)
    elseif kind == "boolean" then
      out[#out + 1] = value and "\195" or "\194"
    elseif kind == "number" then
      out[#out + 1] = number_bytes(value)
    elseif kind == "table" and level ~= NESTING_MAX then
      if is_array(value) then
        local count = #value
        out[#out + 1] = counted(count, 0x90, "\220", "\221")
        for index = 1, count do write(value[index], level + 1, out) end
      else
        local count = 0
        for _ in next, value do count = count + 1 end
        out[#out + 1] = counted(count, 0x80, "\222", "\223")
        for key, inner in next, value do
          write(key, level + 1, out)
          write(inner, level + 1, out)
        end
      end
    else
      out[#out + 1] = "\192"
    end
  end

  local EOF = "Missing bytes in input."

  local function need(data, at, size)
    if #data - at + 1 < size then throw(EOF) end
  end

  local function unsigned(data, at, size)
    need(data, at, size + 1)
    local value = 0
    for place = at + 1, at + size do value = value * 256 + byte(data, place) end
    return value, at + size + 1
  end

  local function unsigned_64(data, at)
    local high = unsigned(data, at, 4)
    local low = unsigned(data, at + 4, 4)
    return high, low, at + 9
  end

  local read

  local function array(data, at, count)
    local found = {}
    for index = 1, count do
      local value
      value, at = read(data, at)
      found[index] = value
    end
    return found, at
  end

  local function map(data, at, count)
    local found = {}
    for _ = 1, count do
      local key, value
      key, at = read(data, at)
      value, at = read(data, at)
      if key == nil then error("table index is nil", 0) end
      if key ~= key then error("table index is NaN", 0) end
      found[key] = value
    end
    return found, at
  end

  local function raw(data, at, length, head)
    need(data, at, head + length)
    return sub(data, at + head, at + head + length - 1), at + head + length
  end

  read = function(data, at)
    need(data, at, 1)
    local kind = byte(data, at)
    if kind < 0x80 then return kind, at + 1 end
    if kind >= 0xe0 then return kind - 256, at + 1 end
    if kind >= 0xa0 and kind < 0xc0 then return raw(data, at, kind - 0xa0, 1) end
    if kind >= 0x90 and kind < 0xa0 then return array(data, at + 1, kind - 0x90) end
    if kind < 0x90 then return map(data, at + 1, kind - 0x80) end
    if kind == 0xc0 then return nil, at + 1 end
    if kind == 0xc2 or kind == 0xc3 then return kind == 0xc3, at + 1 end
    if kind == 0xcc then return unsigned(data, at, 1) end
    if kind == 0xcd then return unsigned(data, at, 2) end
    if kind == 0xce then return unsigned(data, at, 4) end
    if kind == 0xcf then
      need(data, at, 9)
      local high, low, behind = unsigned_64(data, at)
      return high * 4294967296 + low, behind
    end
    if kind == 0xd0 then
      local value, behind = unsigned(data, at, 1)
      return value >= 128 and value - 256 or value, behind
    end
    if kind == 0xd1 then
      local value, behind = unsigned(data, at, 2)
      return value >= 32768 and value - 65536 or value, behind
    end
    if kind == 0xd2 then
      local value, behind = unsigned(data, at, 4)
      return value >= 2147483648 and value - 4294967296 or value, behind
    end
    if kind == 0xd3 then
      need(data, at, 9)
      local high, low, behind = unsigned_64(data, at)
      if high >= 2147483648 then high = high - 4294967296 end
      return high * 4294967296 + low, behind
    end
    if kind == 0xca or kind == 0xcb then
      local size = kind == 0xca and 4 or 8
      need(data, at, size + 1)
      return host_unfloat(reverse(sub(data, at + 1, at + size))), at + size + 1
    end
    if kind == 0xd9 then return raw(data, at, (unsigned(data, at, 1)), 2) end
    if kind == 0xda then return raw(data, at, (unsigned(data, at, 2)), 3) end
    if kind == 0xdb then return raw(data, at, (unsigned(data, at, 4)), 5) end
    if kind == 0xdc or kind == 0xdd then
      local count, behind = unsigned(data, at, kind == 0xdc and 2 or 4)
      return array(data, behind, count)
    end
    if kind == 0xde or kind == 0xdf then
      local count, behind = unsigned(data, at, kind == 0xde and 2 or 4)
      return map(data, behind, count)
    end
    throw("Bad data format in input.")
  end

  local function text_of(count, value)
    if type(value) == "number" then return "" .. value end
    if type(value) ~= "string" then type_error(1, "string", count, value) end
    return value
  end

  local function whole(index, count, value, default)
    if value == nil and default then return default end
    local number = tonumber(value)
    if not number or (type(value) ~= "number" and type(value) ~= "string") then
      type_error(index, "number", count, value)
    end
    return number < 0 and -floor(-number) or floor(number)
  end

  local function read_all(data, limit, offset)
    local all = limit == 0 and offset == 0
    if offset < 0 or limit < 0 then
      throw(format("Invalid request to unpack with offset of %d and limit of %d.", offset, #data))
    elseif offset > #data then
      throw(format("Start offset %d greater than input length %d.", offset, #data))
    end
    if all then limit = INT_MAX end
    local found, count, at = {}, 0, offset + 1
    while at <= #data and count < limit do
      local value
      value, at = read(data, at)
      count = count + 1
      found[count] = value
    end
    if all then return unpack(found, 1, count) end
    return at > #data and -1 or at - 1, unpack(found, 1, count)
  end

  return {
    pack = function(...)
      local count, out = select("#", ...), {}
      if count == 0 then argument_error(0, "MessagePack pack needs input.") end
      for index = 1, count do
        local value = select(index, ...)
        write(value, 0, out)
      end
      return concat(out)
    end,
    unpack = function(...) return select(1, read_all(text_of(select("#", ...), (...)), 0, 0)) end,
    unpack_one = function(...)
      local count = select("#", ...)
      local data, offset = ...
      offset = whole(2, count, offset, 0)
      return select(1, read_all(text_of(count, data), 1, offset))
    end,
    unpack_limit = function(...)
      local count = select("#", ...)
      local data, limit, offset = ...
      limit, offset = whole(2, count, limit), whole(3, count, offset, 0)
      return select(1, read_all(text_of(count, data), limit, offset))
    end,
    _NAME = "cmsgpack",
    _VERSION = "lua-cmsgpack 0.4.0",
    _COPYRIGHT = "Copyright (C) 2012, Salvatore Sanfilippo",
    _DESCRIPTION = "MessagePack C implementation for Lua",
  }
end
