-- LuaBitOp in Lua: 32 bits, two's complement, as the library that comes with Redis computes them.

local floor, format, sub, tonumber, type, select, upper = math.floor, string.format, string.sub, tonumber, type, select,
  string.upper
local huge, frexp = math.huge, math.frexp
local TWO_32, TWO_31, SHIFT = 4294967296, 2147483648, 6755399441055744 -- 2^52 + 2^51

local AND, OR, XOR = {}, {}, {} -- of two nibbles, at 16 * left + right
for left = 0, 15 do
  for right = 0, 15 do
    local both, either, one = 0, 0, 0
    for place = 0, 3 do
      local a, b = floor(left / 2 ^ place) % 2, floor(right / 2 ^ place) % 2
      both, either, one = both + a * b * 2 ^ place, either + (a + b > 0 and 2 ^ place or 0),
        one + (a ~= b and 2 ^ place or 0)
    end
    AND[16 * left + right], OR[16 * left + right], XOR[16 * left + right] = both, either, one
  end
end

return function(argument_error, type_error)
  local function unsigned(index, count, value)
    local number = tonumber(value)
    if not number or (type(value) ~= "number" and type(value) ~= "string") then
      type_error(index, "number", count, value)
    end
    -- Adding and taking away rounds to the nearest whole number, half to even, as the library's cast of the bits does.
    local rounded = (number + SHIFT) - SHIFT
    if number >= TWO_31 * 1048576 or number <= -TWO_31 * 1048576 or rounded ~= rounded then
      -- Beyond 2^51 the library reads the low bits of the sum as they stand.
      local sum = number + SHIFT
      if sum ~= sum or sum == huge or sum == -huge then return 0 end
      local fraction, exponent = frexp(sum)
      return fraction * 2 ^ 53 % TWO_32
    end
    return rounded % TWO_32
  end

  local function signed(bits) return bits >= TWO_31 and bits - TWO_32 or bits end

  local function combine(nibbles)
    return function(...)
      local count = select("#", ...)
      local bits = unsigned(1, count, (...))
      for index = count, 2, -1 do
        local other, sum, place = unsigned(index, count, (select(index, ...))), 0, 1
        local left, right = bits, other
        while left > 0 or right > 0 do
          sum = sum + nibbles[16 * (left % 16) + right % 16] * place
          left, right, place = floor(left / 16), floor(right / 16), place * 16
        end
        bits = sum
      end
      return signed(bits)
    end
  end

  local function shift(how)
    return function(...)
      local count = select("#", ...)
      local bits, by = ...
      bits = unsigned(1, count, bits)
      return signed(how(bits, unsigned(2, count, by) % 32))
    end
  end

  local function left(bits, by) return bits * 2 ^ by % TWO_32 end
  local function right(bits, by) return floor(bits / 2 ^ by) end
  local function rotate(bits, by) return by == 0 and bits or left(bits, by) + right(bits, 32 - by) end

  return {
    tobit = function(...) return signed(unsigned(1, select("#", ...), (...))) end,
    bnot = function(...) return signed(TWO_32 - 1 - unsigned(1, select("#", ...), (...))) end,
    band = combine(AND),
    bor = combine(OR),
    bxor = combine(XOR),
    lshift = shift(left),
    rshift = shift(right),
    arshift = shift(function(bits, by) return floor(signed(bits) / 2 ^ by) % TWO_32 end),
    rol = shift(rotate),
    ror = shift(function(bits, by) return rotate(bits, (32 - by) % 32) end),
    bswap = function(...)
      local bits = unsigned(1, select("#", ...), (...))
      return signed(bits % 256 * 16777216 + floor(bits / 256) % 256 * 65536 + floor(bits / 65536) % 256 * 256
        + floor(bits / 16777216))
    end,
    tohex = function(...)
      local count = select("#", ...)
      local bits, width = ...
      bits = unsigned(1, count, bits)
      width = count < 2 and 8 or signed(unsigned(2, count, width))
      local digits = format("%08x", bits)
      if width < 0 then width, digits = -width, upper(digits) end
      if width > 8 then width = 8 end
      return width == 0 and "" or sub(digits, -width)
    end,
  }
end
