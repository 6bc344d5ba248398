-- Redis's math.random: the generator of drand48, whose numbers are the same on every machine. It goes on from script to
-- script until one calls math.randomseed.

local floor, tonumber, type, select = math.floor, tonumber, type, select

return function(library, throw, argument_error, type_error)
  local low, middle, high = 0x330E, 0xABCD, 0x1234 -- 16 bits each

  local function seed(value)
    value = value % 4294967296
    low, middle, high = 0x330E, value % 65536, floor(value / 65536)
  end

  local function draw() -- 31 bits
    local carry = 0xE66D * low + 0xB
    local first = carry % 65536
    carry = floor(carry / 65536) + 0xE66D * middle + 0xDEEC * low
    local second = carry % 65536
    carry = floor(carry / 65536) + 0xE66D * high + 0xDEEC * middle + 0x5 * low
    low, middle, high = first, second, carry % 65536
    return high * 32768 + floor(middle / 2)
  end

  local function wrapped(number) -- as C casts to an int
    return (number + 2147483648) % 4294967296 - 2147483648
  end

  local function integer(index, count, value)
    local number = tonumber(value)
    if not number or (type(value) ~= "number" and type(value) ~= "string") then
      type_error(index, "number", count, value)
    end
    number = number < 0 and -floor(-number) or floor(number)
    if number - number ~= 0 then return -2147483648 end
    return wrapped(number)
  end

  function library.random(...)
    local count = select("#", ...)
    local first, second = ...
    local r = draw() % 2147483647 / 2147483647
    if count == 0 then return r end
    if count == 1 then
      local most = integer(1, 1, first)
      if most < 1 then argument_error(1, "interval is empty") end
      return floor(r * most) + 1
    end
    if count == 2 then
      local least, most = integer(1, 2, first), integer(2, 2, second)
      if least > most then argument_error(2, "interval is empty") end
      return floor(r * wrapped(most - least + 1)) + least
    end
    throw("wrong number of arguments")
  end

  function library.randomseed(...)
    seed(integer(1, select("#", ...), (...)))
  end

  local function state() return low, middle, high end
  local function set_state(...) low, middle, high = ... end
  return state, set_state
end
