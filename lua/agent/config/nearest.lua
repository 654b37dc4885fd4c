-- Which known key a misspelt one most likely means.

-- Levenshtein distance; keys are short.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local above = row[j]
      local change = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(above + 1, row[j - 1] + 1, diagonal + change)
      diagonal = above
    end
  end
  return row[#b]
end

local function last_part(key)
  return key:match("[^.]*$")
end

--- The key of `known` (an array) nearest to `key`, or nil when none is near. The same name in another
--- section is nearer than anything else.
local function nearest(key, known)
  if #key > 64 then return nil end
  local best, lowest = nil, math.max(2, math.floor(#last_part(key) / 3)) + 1
  for _, candidate in ipairs(known) do
    local away = last_part(candidate) == last_part(key):lower() and 0.5
      or distance(key:lower(), candidate:lower())
    if away < lowest then best, lowest = candidate, away end
  end
  return best
end

return nearest
