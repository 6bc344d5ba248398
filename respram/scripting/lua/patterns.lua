-- Lua's own pattern matching, in Lua: for patterns that might take the one in C for ever. The hook stops this one.
--
-- A port of the matcher of Lua 5.1's string library, with its messages. Positions are from 1; -1 marks a capture that
-- is open, -2 one that is a position.

local byte, sub, char_of, find, floor, concat, tostring, type, tonumber, select, unpack =
  string.byte, string.sub, string.char, string.find, math.floor, table.concat, tostring, type, tonumber, select, unpack
local CAPTURES_MAX, OPEN, POSITION = 32, -1, -2
local ESCAPE = 37

local CLASSES = {}
for letter in ("acdlpsuwxz"):gmatch(".") do CLASSES[letter] = "%" .. letter end

return function(throw)
  local function in_class(char, class)
    local letter = char_of(class)
    local lower = letter:lower()
    if not CLASSES[lower] then return class == char end
    local found = find(char_of(char), "%" .. lower) ~= nil
    if letter ~= lower then return not found end
    return found
  end

  local function class_end(pattern, at)
    local char = byte(pattern, at)
    at = at + 1
    if char == ESCAPE then
      if at > #pattern then throw("malformed pattern (ends with '%')") end
      return at + 1
    end
    if char == 91 then
      if byte(pattern, at) == 94 then at = at + 1 end
      repeat
        if at > #pattern then throw("malformed pattern (missing ']')") end
        local inner = byte(pattern, at)
        at = at + 1
        if inner == ESCAPE and at <= #pattern then at = at + 1 end
      until byte(pattern, at) == 93
      return at + 1
    end
    return at
  end

  local function in_set(char, pattern, at, last) -- `at` is the [, `last` the ]
    local wanted = true
    if byte(pattern, at + 1) == 94 then
      wanted = false
      at = at + 1
    end
    at = at + 1
    while at < last do
      local inner = byte(pattern, at)
      if inner == ESCAPE then
        at = at + 1
        if in_class(char, byte(pattern, at)) then return wanted end
      elseif byte(pattern, at + 1) == 45 and at + 2 < last then
        if inner <= char and char <= byte(pattern, at + 2) then return wanted end
        at = at + 2
      elseif inner == char then
        return wanted
      end
      at = at + 1
    end
    return not wanted
  end

  local function is_single(state, at, p, ep)
    local char = byte(state.subject, at)
    local kind = byte(state.pattern, p)
    if kind == 46 then return true end
    if kind == ESCAPE then return in_class(char, byte(state.pattern, p + 1)) end
    if kind == 91 then return in_set(char, state.pattern, p, ep - 1) end
    return kind == char
  end

  local match

  local function balance(state, at, p)
    local pattern, subject = state.pattern, state.subject
    if p + 1 > #pattern then throw("unbalanced pattern") end
    local opening, closing = byte(pattern, p), byte(pattern, p + 1)
    if at > #subject or byte(subject, at) ~= opening then return nil end
    local depth = 1
    for index = at + 1, #subject do
      local char = byte(subject, index)
      if char == closing then
        depth = depth - 1
        if depth == 0 then return index + 1 end
      elseif char == opening then
        depth = depth + 1
      end
    end
    return nil
  end

  local function most(state, at, p, ep)
    local count = 0
    while at + count <= #state.subject and is_single(state, at + count, p, ep) do count = count + 1 end
    while count >= 0 do
      local found = match(state, at + count, ep + 1)
      if found then return found end
      count = count - 1
    end
    return nil
  end

  local function least(state, at, p, ep)
    while true do
      local found = match(state, at, ep + 1)
      if found then return found end
      if at <= #state.subject and is_single(state, at, p, ep) then at = at + 1 else return nil end
    end
  end

  local function open_capture(state, at, p, kind)
    if state.level >= CAPTURES_MAX then throw("too many captures") end
    state.level = state.level + 1
    state.from[state.level], state.length[state.level] = at, kind
    local found = match(state, at, p)
    if not found then state.level = state.level - 1 end
    return found
  end

  local function close_capture(state, at, p)
    local index
    for level = state.level, 1, -1 do
      if state.length[level] == OPEN then
        index = level
        break
      end
    end
    if not index then throw("invalid pattern capture") end
    state.length[index] = at - state.from[index]
    local found = match(state, at, p)
    if not found then state.length[index] = OPEN end
    return found
  end

  local function again(state, at, mark)
    local index = mark - 48
    if index < 1 or index > state.level or state.length[index] == OPEN then throw("invalid capture index") end
    local from, length = state.from[index], state.length[index]
    if length < 0 then return nil end -- a position, which C takes for a huge length
    if #state.subject - at + 1 >= length
      and sub(state.subject, from, from + length - 1) == sub(state.subject, at, at + length - 1) then
      return at + length
    end
    return nil
  end

  match = function(state, at, p)
    local pattern = state.pattern
    while true do
      if p > #pattern then return at end
      local kind = byte(pattern, p)
      local next_kind = byte(pattern, p + 1)
      if kind == 40 then
        if next_kind == 41 then return open_capture(state, at, p + 2, POSITION) end
        return open_capture(state, at, p + 1, OPEN)
      elseif kind == 41 then
        return close_capture(state, at, p + 1)
      elseif kind == 36 and p == #pattern then
        return at == #state.subject + 1 and at or nil
      elseif kind == ESCAPE and next_kind == 98 then
        at = balance(state, at, p + 2)
        if not at then return nil end
        p = p + 4
      elseif kind == ESCAPE and next_kind == 102 then
        p = p + 2
        if byte(pattern, p) ~= 91 then throw("missing '[' after '%f' in pattern") end
        local ep = class_end(pattern, p)
        local before = at == 1 and 0 or byte(state.subject, at - 1)
        if in_set(before, pattern, p, ep - 1) or not in_set(byte(state.subject, at) or 0, pattern, p, ep - 1) then
          return nil
        end
        p = ep
      elseif kind == ESCAPE and next_kind and next_kind >= 48 and next_kind <= 57 then
        at = again(state, at, next_kind)
        if not at then return nil end
        p = p + 2
      else
        local ep = class_end(pattern, p)
        local fits = at <= #state.subject and is_single(state, at, p, ep)
        local mark = byte(pattern, ep)
        if mark == 63 then
          if fits then
            local found = match(state, at + 1, ep + 1)
            if found then return found end
          end
          p = ep + 1
        elseif mark == 42 then
          return most(state, at, p, ep)
        elseif mark == 43 then
          return fits and most(state, at + 1, p, ep) or nil
        elseif mark == 45 then
          return least(state, at, p, ep)
        else
          if not fits then return nil end
          at, p = at + 1, ep
        end
      end
    end
  end

  local function capture(state, index, from, to)
    if index > state.level then
      if index == 1 then return sub(state.subject, from, to - 1) end
      throw("invalid capture index")
    end
    local length = state.length[index]
    if length == OPEN then throw("unfinished capture") end
    if length == POSITION then return state.from[index] end
    return sub(state.subject, state.from[index], state.from[index] + length - 1)
  end

  local function captures(state, from, to, whole)
    local count = (state.level == 0 and whole) and 1 or state.level
    local found = {}
    for index = 1, count do found[index] = capture(state, index, from, to) end
    return found, count
  end

  local function state_of(subject, pattern)
    return { subject = subject, pattern = pattern, level = 0, from = {}, length = {} }
  end

  local function attempt(state, at, p)
    state.level = 0
    return match(state, at, p)
  end

  local function start_of(subject, init)
    init = tonumber(init) or 1
    init = init < 0 and -floor(-init) or floor(init)
    if init < 0 then init = #subject + init + 1 end
    if init < 1 then init = 1 end
    return init
  end

  local function search(subject, pattern, init, plain, is_find)
    subject, pattern = tostring(subject), tostring(pattern)
    local at = start_of(subject, init)
    if at > #subject + 1 then at = #subject + 1 end
    if is_find and (plain or not find(pattern, "[%^%$%*%+%?%.%(%[%%%-]")) then
      for from = at, #subject - #pattern + 1 do
        if sub(subject, from, from + #pattern - 1) == pattern then return from, from + #pattern - 1 end
      end
      return nil
    end
    local state, p = state_of(subject, pattern), 1
    local anchored = byte(pattern, 1) == 94
    if anchored then p = 2 end
    repeat
      local to = attempt(state, at, p)
      if to then
        local found, count = captures(state, at, to, not is_find)
        if is_find then return at, to - 1, unpack(found, 1, count) end
        return unpack(found, 1, count)
      end
      at = at + 1
    until anchored or at > #subject + 1
    return nil
  end

  local function gmatch(subject, pattern)
    subject, pattern = tostring(subject), tostring(pattern)
    local state, at = state_of(subject, pattern), 1
    return function()
      while at <= #subject + 1 do
        local from = at
        local to = attempt(state, from, 1)
        if to then
          at = to == from and to + 1 or to
          local found, count = captures(state, from, to, true)
          return unpack(found, 1, count)
        end
        at = at + 1
      end
      return nil
    end
  end

  local function replacement(state, from, to, with, kind)
    if kind == "string" or kind == "number" then
      local text, out, at = tostring(with), {}, 1
      while at <= #text do
        local char = byte(text, at)
        if char ~= ESCAPE then
          out[#out + 1] = char_of(char)
        else
          at = at + 1
          char = byte(text, at)
          if not char or char < 48 or char > 57 then
            out[#out + 1] = char and char_of(char) or "\0"
          elseif char == 48 then
            out[#out + 1] = sub(state.subject, from, to - 1)
          else
            out[#out + 1] = tostring(capture(state, char - 48, from, to))
          end
        end
        at = at + 1
      end
      return concat(out)
    end
    local value
    if kind == "function" then
      local found, count = captures(state, from, to, true)
      value = with(unpack(found, 1, count))
    else
      value = with[capture(state, 1, from, to)]
    end
    if not value then return sub(state.subject, from, to - 1) end
    if type(value) ~= "string" and type(value) ~= "number" then
      throw("invalid replacement value (a " .. type(value) .. ")")
    end
    return tostring(value)
  end

  local function gsub(subject, pattern, with, count_max)
    subject, pattern = tostring(subject), tostring(pattern)
    local kind = type(with)
    if kind ~= "string" and kind ~= "number" and kind ~= "function" and kind ~= "table" then
      throw("bad argument #3 to 'gsub' (string/function/table expected)")
    end
    count_max = tonumber(count_max) or #subject + 1
    local anchored = byte(pattern, 1) == 94
    local state, p, at, count, out = state_of(subject, pattern), anchored and 2 or 1, 1, 0, {}
    while count < count_max do
      local to = attempt(state, at, p)
      if to then
        count = count + 1
        out[#out + 1] = replacement(state, at, to, with, kind)
      end
      if to and to > at then
        at = to
      elseif at <= #subject then
        out[#out + 1] = sub(subject, at, at)
        at = at + 1
      else
        break
      end
      if anchored then break end
    end
    out[#out + 1] = sub(subject, at)
    return concat(out), count
  end

  return {
    find = function(subject, pattern, init, plain) return select(1, search(subject, pattern, init, plain, true)) end,
    match = function(subject, pattern, init) return select(1, search(subject, pattern, init, false, false)) end,
    gmatch = gmatch,
    gsub = gsub,
  }
end
