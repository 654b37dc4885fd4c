-- Finds the lines on which the keys of a Lua table stand: a light reading of `return { key = { … } }`.
-- It follows table constructors and knows nothing else; a key it can't place has no line.

local join = require("agent.luafile").join

local openers = { ["function"] = true, ["do"] = true, ["if"] = true, ["repeat"] = true }
local closers = { ["end"] = true, ["until"] = true }
local pairs_of_marks = { ["=="] = true, ["~="] = true, ["<="] = true, [">="] = true, [".."] = true }
local escapes = { n = "\n", t = "\t", r = "\r", ["\\"] = "\\", ['"'] = '"', ["'"] = "'" }

local function long_bracket(source, at)
  local level = source:match("^%[(=*)%[", at)
  if not level then return nil end
  local _, stop = source:find("]" .. level .. "]", at, true)
  return stop or #source
end

local function quoted(source, at)
  local mark = source:sub(at, at)
  local stop = at + 1
  while stop <= #source do
    local c = source:sub(stop, stop)
    if c == "\\" then
      stop = stop + 1
    elseif c == mark or c == "\n" then
      break
    end
    stop = stop + 1
  end
  return stop, (source:sub(at + 1, stop - 1):gsub("\\(.)", escapes))
end

-- The token at or behind `at`: its kind, its text, its first and its last byte. nil at the end.
local function token(source, at)
  while true do
    at = source:find("%S", at)
    if not at then return nil end
    if source:sub(at, at + 1) ~= "--" then break end
    local stop = long_bracket(source, at + 2) or source:find("\n", at, true) or #source
    at = stop + 1
  end
  local _, stop = source:find("^[%a_][%w_]*", at)
  if stop then return "name", source:sub(at, stop), at, stop end
  _, stop = source:find("^%.?%d[%w.]*", at)
  if stop then return "number", source:sub(at, stop), at, stop end
  local c = source:sub(at, at)
  if c == '"' or c == "'" then
    local last, text = quoted(source, at)
    return "string", text, at, last
  end
  stop = c == "[" and long_bracket(source, at)
  if stop then return "string", source:sub(at, stop):match("^%[=*%[\n?(.*)%]=*%]$") or "", at, stop end
  local two = source:sub(at, at + 1)
  if pairs_of_marks[two] then return "mark", two, at, at + 1 end
  return "mark", c, at, at
end

-- All tokens with their lines; a configuration is at most 1 MiB.
local function tokens_of(source)
  local list, line, counted, at = {}, 1, 1, 1
  while true do
    local kind, text, first, last = token(source, at)
    if not kind then return list end
    local newline = source:find("\n", counted, true)
    while newline and newline < first do
      line = line + 1
      counted = newline + 1
      newline = source:find("\n", counted, true)
    end
    list[#list + 1] = { kind = kind, text = text, line = line }
    at = last + 1
  end
end

local function is(one, text)
  return one and (one.kind == "mark" or one.kind == "name") and one.text == text
end

-- `name =` or `["name"] =` at token i → the key and the token behind the sign.
local function key_at(list, i)
  local one = list[i]
  if one.kind == "name" and is(list[i + 1], "=") then return one.text, i + 2 end
  local inner = list[i + 1]
  if is(one, "[") and inner and is(list[i + 2], "]") and is(list[i + 3], "=") then
    if inner.kind == "string" then return inner.text, i + 4 end
    if inner.kind == "number" then return tonumber(inner.text), i + 4 end
  end
end

-- Skips an expression up to the `,`, `;` or `}` that ends it.
local function skip(list, i)
  local depth = 0
  while list[i] do
    local one = list[i]
    if one.kind == "mark" then
      if one.text:find("^[({[]$") then
        depth = depth + 1
      elseif one.text:find("^[])}]$") then
        if depth == 0 then return i end
        depth = depth - 1
      elseif depth == 0 and (one.text == "," or one.text == ";") then
        return i
      end
    elseif one.kind == "name" then
      if openers[one.text] then depth = depth + 1 elseif closers[one.text] then depth = depth - 1 end
    end
    i = i + 1
  end
  return i
end

-- The constructor whose `{` is token i → the token behind its `}`.
local function constructor(list, i, path, lines, depth)
  i = i + 1
  local index = 0
  while list[i] and not is(list[i], "}") do
    local line = list[i].line
    local key, value = key_at(list, i)
    if key == nil then
      index = index + 1
      key, value = index, i
    end
    local at = join(path, key)
    lines[at] = line
    if is(list[value], "{") and depth < 32 then value = constructor(list, value, at, lines, depth + 1) end
    i = skip(list, value)
    if is(list[i], ")") or is(list[i], "]") then return i end
    if is(list[i], ",") or is(list[i], ";") then i = i + 1 end
  end
  return i + 1
end

--- Key path, as agent.luafile.join writes it → line number.
local function lines_of(source)
  local lines, list, start = {}, tokens_of(source), nil
  for i, one in ipairs(list) do
    if one.kind == "name" and one.text == "return" and is(list[i + 1], "{") then start = i + 1 end
  end
  if start then constructor(list, start, "", lines, 1) end
  return lines
end

return lines_of
