-- The `struct` library that comes with Redis: numbers and strings to bytes and back, by a format.

local byte, sub, char, rep, find, format, concat, reverse =
  string.byte, string.sub, string.char, string.rep, string.find, string.format,
  table.concat, string.reverse
local floor, tonumber, tostring, type, select, unpack, upper = math.floor, tonumber, tostring, type, select, unpack,
  string.upper
local INT_MAX, INTEGER_BYTES_MAX, ALIGN_MAX = 2147483647, 32, 8
local SIZES = { B = 1, b = 1, H = 2, h = 2, L = 8, l = 8, T = 8, f = 4, d = 8, x = 1 }
local INTEGERS = { b = true, B = true, h = true, H = true, l = true, L = true, T = true, i = true, I = true }
local TWO_63, TWO_64 = 2 ^ 63, 2 ^ 64

return function(throw, argument_error, type_error, host_float, host_unfloat)
  local function text_of(index, count, value)
    if type(value) == "number" then return tostring(value) end
    if type(value) ~= "string" then type_error(index, "string", count, value) end
    return value
  end

  local function number_of(index, count, value)
    local number = tonumber(value)
    if not number or (type(value) ~= "number" and type(value) ~= "string") then
      type_error(index, "number", count, value)
    end
    return number
  end

  local function digits(layout, at, default)
    local stop = at
    local value = 0
    while true do
      local digit = byte(layout, stop)
      if not digit or digit < 48 or digit > 57 then break end
      digit = digit - 48
      if value > floor(INT_MAX / 10) or value * 10 > INT_MAX - digit then throw("integral size overflow") end
      value = value * 10 + digit
      stop = stop + 1
    end
    if stop == at then return default, at end
    return value, stop
  end

  local function size_of(option, layout, at)
    if SIZES[option] then return SIZES[option], at end
    if option == "c" then return digits(layout, at, 1) end
    if option == "i" or option == "I" then
      local size, stop = digits(layout, at, 4)
      if size > INTEGER_BYTES_MAX then
        throw(format("integral size %d is larger than limit of %d", size, INTEGER_BYTES_MAX))
      end
      return size, stop
    end
    return 0, at
  end

  local function padding(position, state, option, size)
    if size == 0 or option == "c" then return 0 end
    if size > state.align then size = state.align end
    -- As in C, (size - (position & (size - 1))) & (size - 1): sizes need not be powers of two.
    local function band(a, b)
      local sum, place = 0, 1
      while a > 0 and b > 0 do
        if a % 2 == 1 and b % 2 == 1 then sum = sum + place end
        a, b, place = floor(a / 2), floor(b / 2), place * 2
      end
      return sum
    end
    return band(size - band(position, size - 1), size - 1)
  end

  local function control(option, layout, at, state)
    if option == " " then return at end
    if option == ">" then state.big = true return at end
    if option == "<" then state.big = false return at end
    if option == "!" then
      local align, stop = digits(layout, at, ALIGN_MAX)
      local power = align
      while power > 1 and power % 2 == 0 do power = power / 2 end
      if power ~= 1 then throw(format("alignment %d is not a power of 2", align)) end
      state.align = align
      return stop
    end
    argument_error(1, format("invalid format option '%s'", option))
  end

  local function whole(number) return number < 0 and -floor(-number) or floor(number) end

  local function integer_bytes(number, size, big)
    if number ~= number then number = -TWO_63 end
    number = whole(number)
    if number < 0 then
      if number < -TWO_63 then number = -TWO_63 end
    elseif number >= TWO_64 then
      number = 0
    end
    -- Bytes from the low end; a double holds each step exactly, if the sign is taken off first.
    local negative, parts = number < 0, {}
    local rest, carry = negative and -number or number, 1
    for place = 1, size do
      local low = rest % 256
      rest = (rest - low) / 256
      if place > 8 then
        parts[place] = 0 -- the 64-bit value is shifted out by then
      elseif negative then
        low = 255 - low + carry
        carry = low > 255 and 1 or 0
        parts[place] = low % 256
      else
        parts[place] = low
      end
    end
    local text = char(unpack(parts))
    return big and reverse(text) or text
  end

  local function integer_from(text, size, big, is_signed)
    if not big then text = reverse(text) end -- now the high byte is first
    if size > 8 then text = sub(text, -8) end
    local high, low = 0, 0 -- 32 bits each
    local length = #text
    for place = 1, length do
      if length - place < 4 then low = low * 256 + byte(text, place) else high = high * 256 + byte(text, place) end
    end
    if is_signed and size > 0 and size <= 8 and byte(text, 1) >= 128 then
      -- Two's complement, from the parts, so that nothing is rounded twice.
      local bits = size * 8
      if bits <= 32 then return low - 2 ^ bits end
      local top = high - 2 ^ (bits - 32)
      return top * 4294967296 + low
    end
    return high * 4294967296 + low
  end

  local function float_bytes(number, size, big)
    local text = host_float(number, size)
    return big and reverse(text) or text
  end

  local function pack(...)
    local count = select("#", ...)
    local arguments = { ... }
    local last = count + 1 -- the first that is missing counts as nil
    local layout = text_of(1, count, arguments[1])
    layout = sub(layout, 1, (find(layout, "\0", 1, true) or #layout + 1) - 1)
    local state, total, parts, index, at = { big = false, align = 1 }, 0, {}, 2, 1
    while at <= #layout do
      local option = sub(layout, at, at)
      local size
      size, at = size_of(option, layout, at + 1)
      local gap = padding(total, state, option, size)
      if gap > 0 then parts[#parts + 1] = rep("\0", gap) end
      total = total + gap
      if INTEGERS[option] then
        parts[#parts + 1] = integer_bytes(number_of(index, last, arguments[index]), size, state.big)
        index = index + 1
      elseif option == "x" then
        parts[#parts + 1] = "\0"
      elseif option == "f" or option == "d" then
        parts[#parts + 1] = float_bytes(number_of(index, last, arguments[index]), size, state.big)
        index = index + 1
      elseif option == "c" or option == "s" then
        local text = text_of(index, last, arguments[index])
        index = index + 1
        if size == 0 then size = #text end
        if #text < size then argument_error(index, "string too short") end
        parts[#parts + 1] = sub(text, 1, size)
        if option == "s" then
          parts[#parts + 1] = "\0"
          size = size + 1
        end
      else
        at = control(option, layout, at, state)
      end
      total = total + size
    end
    return concat(parts)
  end

  local function read(...)
    local count = select("#", ...)
    local layout, data, position = ...
    layout, data = text_of(1, count, layout), text_of(2, count, data)
    layout = sub(layout, 1, (find(layout, "\0", 1, true) or #layout + 1) - 1)
    position = position == nil and 1 or whole(number_of(3, count, position))
    if position == 0 then argument_error(3, "offset must be 1 or greater") end
    position = position - 1
    local state, results, found, at = { big = false, align = 1 }, {}, 0, 1
    if position < 0 then position = TWO_64 + position end
    while at <= #layout do
      local option = sub(layout, at, at)
      local size
      size, at = size_of(option, layout, at + 1)
      position = position + padding(position, state, option, size)
      if size > #data or position > #data - size then argument_error(2, "data string too short") end
      if INTEGERS[option] then
        found = found + 1
        results[found] = integer_from(sub(data, position + 1, position + size), size, state.big,
          option ~= upper(option))
      elseif option == "x" then
        size = 1
      elseif option == "f" or option == "d" then
        local text = sub(data, position + 1, position + size)
        found = found + 1
        results[found] = host_unfloat(state.big and reverse(text) or text)
      elseif option == "c" then
        if size == 0 then
          local given = found > 0 and tonumber(results[found]) or nil
          if not given then throw("format 'c0' needs a previous size") end
          size = given < 0 and TWO_64 + whole(given) or whole(given)
          found = found - 1
          if size > #data or position > #data - size then argument_error(2, "data string too short") end
        end
        found = found + 1
        results[found] = sub(data, position + 1, position + size)
      elseif option == "s" then
        local stop = find(data, "\0", position + 1, true)
        if not stop then throw("unfinished string in data") end
        size = stop - position
        found = found + 1
        results[found] = sub(data, position + 1, stop - 1)
      else
        at = control(option, layout, at, state)
      end
      position = position + size
    end
    results[found + 1] = position + 1
    return unpack(results, 1, found + 1)
  end

  local function size(...)
    local count = select("#", ...)
    local layout = text_of(1, count, (...))
    layout = sub(layout, 1, (find(layout, "\0", 1, true) or #layout + 1) - 1)
    local state, total, at = { big = false, align = 1 }, 0, 1
    while at <= #layout do
      local option = sub(layout, at, at)
      local bytes
      bytes, at = size_of(option, layout, at + 1)
      total = total + padding(total, state, option, bytes)
      if option == "s" then
        argument_error(1, "option 's' has no fixed size")
      elseif option == "c" and bytes == 0 then
        argument_error(1, "option 'c0' has no fixed size")
      end
      if not find(option, "%w") then at = control(option, layout, at, state) end
      total = total + bytes
    end
    return total
  end

  return {
    pack = function(...) return (pack(...)) end,
    unpack = function(...) return select(1, read(...)) end,
    size = function(...) return (size(...)) end,
  }
end
