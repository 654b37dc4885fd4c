-- Counts and extracts by expression from files that grow. A file is known by its inode and by the bytes before the
-- place up to which it was read: so a line is taken once, whether the file is renamed, copied and emptied, or replaced.

local PIECE = 65536     -- bytes read in one go
local LINE = 16384      -- bytes of a line that are looked at
local FILES = 100       -- followed at once; as many more that were rotated
local TAIL = 256        -- bytes by which a place in a file is recognised
local FOLLOWED = 300    -- seconds without growth until a rotated file is over
local COMBINATIONS = 100 -- of tag values in one run; further ones are "other"

local compiled, ncompiled = {}, 0 -- expressions, across runs

local function expression(ctx, text, what)
  local known = compiled[text]
  if known then return known end
  local made, why = ctx.regex(text)
  if not made then return nil, ("%s: %s"):format(what, why) end
  if ncompiled == 200 then compiled, ncompiled = {}, 0 end
  compiled[text], ncompiled = made, ncompiled + 1
  return made
end

-- FNV-1a.
local function hash_of(text)
  local h = bit.tobit(0x811c9dc5)
  for i = 1, #text do
    h = bit.bxor(h, text:byte(i))
    h = bit.tobit(h * 403 + bit.lshift(h, 24))
  end
  return h
end

local function id_of(stat) return ("%.0f:%.0f"):format(stat.device, stat.inode) end

local function base_of(path) return path:match("([^/]*)$") end
local function folder_of(path) return path:match("^(.*)/[^/]*$") end

-- Whether `name` is what rotation makes of `base`: app.log.1, app.log-20260101, app-20260101.log, app.1.log.
local function is_rotated_name(name, base)
  if name == base then return false end
  if name:sub(1, #base) == base then return true end
  local stem = base:match("^(.+)%.[^.]*$")
  return stem ~= nil and name:sub(1, #stem) == stem and name:find("^[-.]%d", #stem + 1) ~= nil
end

local function is_packed(name)
  return name:find("%.[gx]z$") ~= nil or name:find("%.bz2$") ~= nil or name:find("%.zst$") ~= nil
end

-- *, ? and [abc] of one part of a path.
local function wildcard(part)
  local text = part:gsub("[][^$.|?*+(){}\\]", function(c)
    if c == "*" then return ".*" elseif c == "?" then return "." elseif c == "[" or c == "]" then return c end
    return c == "^" and c or "\\" .. c
  end)
  return "^(?s:" .. text:gsub("%[!", "[^") .. ")$"
end

local function names_like(job, folder, part)
  local match, why = expression(job.ctx, wildcard(part), "path")
  if not match then return nil, why end
  local names, wrong, code = job.ctx.list(folder == "" and "/" or folder)
  if not names then
    if code ~= "ENOENT" and code ~= "ENOTDIR" then job.problems[#job.problems + 1] = { folder, wrong, code } end
    return {}
  end
  local found = {}
  for _, name in ipairs(names) do
    local hidden = name:byte() == 46 and part:byte() ~= 46
    if not hidden and not is_packed(name) and match:test(name) then found[#found + 1] = name end
  end
  return found
end

-- The files that a path with wildcards names.
local function expand(job, path)
  local list = { "" }
  for part in path:gmatch("[^/]+") do
    local longer = {}
    for _, folder in ipairs(list) do
      local names, why = { part }, nil
      if part:find("[*?[]") then names, why = names_like(job, folder, part) end
      if not names then return nil, why end
      for _, name in ipairs(names) do
        longer[#longer + 1] = folder .. "/" .. name
        if #longer > FILES then return nil, ("path: %s: more than %d files"):format(path, FILES) end
      end
    end
    list = longer
  end
  return list
end

local function tag_rules(ctx, params)
  local rules = {}
  for name, text in pairs(params.tags or {}) do
    if type(name) ~= "string" or not name:find("^[%w_.-]+$") then
      return nil, "tags: a name is of letters, digits and _"
    end
    local regex, why = expression(ctx, tostring(text), "tags." .. name)
    if not regex then return nil, why end
    rules[#rules + 1] = { name = name, regex = regex }
  end
  table.sort(rules, function(a, b) return a.name < b.name end)
  return rules
end

-- What is counted: { { name, regex, names of its groups, tags = rules } … }.
local function wanted(ctx, params)
  local list = {}
  local function add(name, text)
    if not name:find("^[%w_.-]+$") then
      return nil, ("patterns: %q: a name is of letters, digits, - _ and ."):format(name)
    end
    local regex, why = expression(ctx, text, name == "cnt" and "pattern" or "patterns." .. name)
    if not regex then return nil, why end
    list[#list + 1] = { name = name, regex = regex, count = 0, groups = {}, rules = {}, combinations = {}, n = 0 }
    return list[#list]
  end
  if params.pattern then
    local one, why = add("cnt", params.pattern)
    if not one then return nil, why end
    one.groups = one.regex:groups()
    one.rules, why = tag_rules(ctx, params)
    if not one.rules then return nil, why end
    if params.value then one.value, why = expression(ctx, params.value, "value") end
    if why then return nil, why end
  end
  for name, text in pairs(params.patterns or {}) do
    local one, why = add(tostring(name), tostring(text))
    if not one then return nil, why end
  end
  if not list[1] then return nil, "params.pattern is missing: a regular expression (or patterns, with names)" end
  return list
end

local function paths_of(params)
  local paths = {}
  for _, path in ipairs(params.path or {}) do paths[#paths + 1] = path end
  paths[#paths + 1] = params.file_path
  if not paths[1] then return nil, "params.path is missing: the file, or several" end
  for _, path in ipairs(paths) do
    if type(path) ~= "string" or path:sub(1, 1) ~= "/" then
      return nil, ("path: %q is no absolute path"):format(tostring(path))
    end
  end
  return paths
end

local function prepare(params, ctx)
  if params.func and params.func ~= "cnt" then return nil, ("func: %q is not known, cnt is"):format(params.func) end
  if params.from ~= "end" and params.from ~= "start" then return nil, 'from is "end" or "start"' end
  local paths, why = paths_of(params)
  if not paths then return nil, why end
  local watches
  watches, why = wanted(ctx, params)
  if not watches then return nil, why end
  local job = { ctx = ctx, paths = paths, watches = watches, problems = {}, lines = 0, bytes = 0, gone = 0, behind = 0,
    long = 0, from = params.from, left = math.max(PIECE, params.max_bytes) }
  if params.ignore then job.ignore, why = expression(ctx, params.ignore, "ignore") end
  if why then return nil, why end
  return job
end

local function clean(text)
  text = text:gsub("%c", " "):sub(1, 100)
  return text ~= "" and text or "none"
end

-- The tags of a line, in order: name, value, name, value …
local function tags_of(watch, matched)
  local tags = {}
  for i, name in ipairs(watch.groups) do
    if name ~= "" and name ~= "value" then
      tags[#tags + 1] = name
      tags[#tags + 1] = clean(matched[i + 1] or "")
    end
  end
  for _, rule in ipairs(watch.rules) do
    local whole, group = rule.regex:match(matched.line)
    tags[#tags + 1] = rule.name
    tags[#tags + 1] = clean(group or whole or "")
  end
  return tags
end

local function combination(watch, tags)
  local key = table.concat(tags, "\0")
  local one = watch.combinations[key]
  if one then return one end
  if watch.n >= COMBINATIONS then
    for i = 2, #tags, 2 do tags[i] = "other" end
    key = table.concat(tags, "\0")
    one = watch.combinations[key]
    if one then return one end
  end
  one = { count = 0, values = 0 }
  for i = 1, #tags, 2 do
    one.tags = one.tags or {}
    one.tags[tags[i]] = tags[i + 1]
  end
  watch.combinations[key], watch.n = one, watch.n + 1
  return one
end

local function number_in(watch, matched)
  if watch.value then
    local whole, group = watch.value:match(matched.line)
    return tonumber(group or whole)
  end
  for i, name in ipairs(watch.groups) do
    if name == "value" then return tonumber(matched[i + 1]) end
  end
end

local function extract(watch, line)
  local matched = { watch.regex:match(line) }
  if not matched[1] then return end
  matched.line = line
  local one = combination(watch, tags_of(watch, matched))
  one.count = one.count + 1
  local value = number_in(watch, matched)
  if not value or value ~= value or value == math.huge or value == -math.huge then return end
  one.values, one.sum = one.values + 1, (one.sum or 0) + value
  one.min, one.max = math.min(one.min or value, value), math.max(one.max or value, value)
end

local function take_line(job, line)
  job.lines = job.lines + 1
  if #line > LINE then
    job.long = job.long + 1
    line = line:sub(1, LINE)
  end
  if line:byte(-1) == 13 then line = line:sub(1, -2) end
  if job.ignore and job.ignore:test(line) then return end
  for _, watch in ipairs(job.watches) do
    if watch.value or watch.rules[1] or watch.groups[1] then
      extract(watch, line)
    elseif watch.regex:test(line) then
      watch.count = watch.count + 1
    end
  end
end

local function tail_at(file, at)
  return at > 0 and file:read(math.min(TAIL, at), math.max(0, at - TAIL)) or ""
end

-- Whether the file still has what was read of it.
local function is_intact(one)
  if one.stat.size < one.offset then return false end
  local tail = tail_at(one.file, one.offset)
  if not tail or #tail ~= math.min(TAIL, one.offset) or hash_of(tail) ~= one.hash then return false end
  one.tail = tail
  return true
end

local function place_at(one, offset)
  one.offset, one.tail = offset, tail_at(one.file, offset) or ""
  one.hash = hash_of(one.tail)
end

local function is_copy_name(one, known)
  return folder_of(one.path) == folder_of(known.origin) and is_rotated_name(base_of(one.path), base_of(known.origin))
end

-- Where `one`, just found, goes on if it is a copy of what `known` was before it was emptied; nil: it is none.
local function place_in_copy(one, known)
  local at = known.before
  if not at or at > one.stat.size then return nil end
  local tail = tail_at(one.file, at)
  return tail and hash_of(tail) == known.hash_before and at or nil
end

-- The same, if it is a copy of what `known` is: emptying that is perhaps still to come.
local function place_in_twin(one, known)
  local at = math.min(one.stat.size, known.stat.size)
  return at > 0 and tail_at(one.file, at) == tail_at(known.file, at) and math.min(at, known.offset) or nil
end

local function open(job, path)
  local file, why, code = job.ctx.open(path)
  if not file then return nil, why, code end
  return { path = path, file = file, stat = file:stat() }
end

-- All that the paths name now: { [id] = one }.
local function find(job)
  local found, order, count = {}, {}, 0
  for _, path in ipairs(job.paths) do
    local list, why = expand(job, path)
    if not list then return nil, why end
    for _, name in ipairs(list) do
      local one, wrong, code = open(job, name)
      if one and not found[id_of(one.stat)] then
        count = count + 1
        if count > FILES then return nil, ("path: more than %d files"):format(FILES) end
        one.id = id_of(one.stat)
        found[one.id], order[count] = one, one
      elseif one then
        one.file:close()
      elseif code ~= "ENOENT" and not wrong:find("not a file", 1, true) then
        job.problems[#job.problems + 1] = { name, wrong, code }
      end
    end
  end
  return found, order
end

-- The file in the folder of `known` that fits(stat) and is_it(one) say is what became of it.
local function search(job, known, any_name, fits, is_it)
  local folder, base, looked = folder_of(known.origin), base_of(known.origin), 0
  for _, name in ipairs(job.ctx.list(folder == "" and "/" or folder) or {}) do
    if (any_name or is_rotated_name(name, base)) and not is_packed(name) and looked < 200 then
      looked = looked + 1
      local stat = job.ctx.stat(folder .. "/" .. name)
      local one = stat and stat.type == "file" and fits(stat) and open(job, folder .. "/" .. name)
      if one then
        one.id = id_of(one.stat)
        if fits(one.stat) and is_it(one) then return one end
        one.file:close()
      end
    end
  end
end

-- A known file that no path names any more.
local function follow_renamed(job, id, known)
  local function fits(stat) return id_of(stat) == id end
  local function is_it() return true end
  local one = search(job, known, false, fits, is_it) or search(job, known, true, fits, is_it)
  if one then
    one.rotated = true
  elseif not known.rotated or known.behind then
    job.gone = job.gone + 1
  end
  return one
end

local function remember(one, known)
  one.offset, one.hash, one.skip, one.twin, one.origin = known.offset, known.hash, known.skip, known.twin, known.origin
  if is_intact(one) then return end
  one.before, one.hash_before, one.skip_before = one.offset, one.hash, one.skip
  place_at(one, 0)
  one.skip, one.twin = nil, nil
end

-- A copy goes on by itself when what it was made of is emptied or gone.
local function part_twins(found)
  for _, one in pairs(found) do
    local twin = one.twin and found[one.twin]
    if one.twin and (not twin or twin.before) then one.was_twin, one.twin = one.twin, nil end
  end
end

-- The rest of one that was emptied, where a copy was made before.
local function follow_copy(job, known, found)
  for _, one in pairs(found) do
    if one.copy == known or one.was_twin == known.id then return end
  end
  local at
  local copy = search(job, known, false,
    function(stat) return stat.size >= known.before and not found[id_of(stat)] end,
    function(one)
      at = place_in_copy(one, known)
      return at ~= nil
    end)
  if not copy then
    job.gone = job.gone + 1
    return
  end
  copy.rotated, copy.skip = true, known.skip_before
  place_at(copy, at)
  return copy
end

local function place_new(job, one, found)
  for _, known in pairs(found) do
    if known ~= one and known.origin and is_copy_name(one, known) then
      local at = place_in_copy(one, known)
      if at then
        one.copy, one.skip = known, known.skip_before
        return place_at(one, at)
      end
      at = place_in_twin(one, known)
      if at then
        one.twin = known.id
        return place_at(one, at)
      end
    end
  end
  place_at(one, 0)
  one.origin = one.origin or one.path
  if job.ctx.state.started or job.from == "start" or one.known then return end
  place_at(one, one.stat.size)
  one.skip = one.tail ~= "" and one.tail:byte(-1) ~= 10 or nil -- what begins in the middle is no line
end

-- What was made and rotated between two runs, and so never seen under its first name.
local function add_unseen(job, path, found)
  local folder, base = folder_of(path), base_of(path)
  for _, name in ipairs(job.ctx.list(folder == "" and "/" or folder) or {}) do
    local full = folder .. "/" .. name
    local stat = is_rotated_name(name, base) and not is_packed(name) and job.ctx.stat(full)
    local new = stat and stat.type == "file" and stat.born > job.last - 0.05 and not found[id_of(stat)]
    local one = new and open(job, full)
    if one then
      one.id, one.rotated = id_of(one.stat), true
      if found[one.id] then
        one.file:close()
      else
        place_new(job, one, found)
        found[one.id] = one
      end
    end
  end
end

-- Everything to be read, each at its place: { [id] = one }.
local function survey(job)
  local state = job.ctx.state
  local files, asked = state.files or {}, table.concat(job.paths, "\0")
  local same_paths = state.asked == asked -- else it is not rotation that took a file away
  job.last = state.last or math.huge
  state.last, state.asked = job.ctx.now(), asked
  local found, order = find(job)
  if not found then return nil, order end
  local rotated = {}
  for id, known in pairs(files) do
    local one = found[id] or same_paths and follow_renamed(job, id, known)
    if one then
      one.known = true
      found[id] = one
      remember(one, known)
    end
    local moved = not one or one.rotated or one.before or known.offset == 0
    if not known.rotated and same_paths and moved then rotated[#rotated + 1] = known.origin end
  end
  part_twins(found)
  for _, one in ipairs(order) do
    if not one.known or one.offset == 0 and not one.before then place_new(job, one, found) end
  end
  for _, path in ipairs(rotated) do add_unseen(job, path, found) end
  local copies = {}
  for _, one in pairs(found) do
    if one.before then copies[#copies + 1] = follow_copy(job, one, found) end
  end
  for _, copy in ipairs(copies) do found[copy.id] = copy end
  return found
end

local function advance(one, chunk, n)
  one.tail = n >= TAIL and chunk:sub(n - TAIL + 1, n) or (one.tail .. chunk:sub(1, n)):sub(-TAIL)
  one.offset, one.hash = one.offset + n, hash_of(one.tail)
end

-- The lines of a piece; true: there may be more behind it.
local function take_piece(job, one, chunk)
  local from, find_byte = 1, chunk.find
  while true do
    local at = find_byte(chunk, "\n", from, true)
    if not at then break end
    if one.skip then one.skip = nil else take_line(job, chunk:sub(from, at - 1)) end
    from = at + 1
  end
  if from == 1 then
    if #chunk <= LINE then return false end -- a line that is not complete yet
    if not one.skip then take_line(job, chunk) end
    one.skip, from = true, #chunk + 1
  end
  job.bytes = job.bytes + from - 1
  advance(one, chunk, from - 1)
  return true
end

local function read_on(job, one, share)
  local stop = share
  one.behind = nil
  while true do
    if stop <= 0 or job.ctx.deadline() < 0.5 then
      one.behind = one.stat.size > one.offset or nil
      job.behind = job.behind + math.max(0, one.stat.size - one.offset)
      return
    end
    local chunk = one.file:read(PIECE, one.offset)
    if not chunk or chunk == "" then return end
    one.stat = one.file:stat() or one.stat
    if one.stat.size < one.offset + #chunk then return end -- emptied meanwhile: the next run sees to it
    local before = one.offset
    if not take_piece(job, one, chunk) then return end
    stop, job.left = stop - (one.offset - before), job.left - (one.offset - before)
  end
end

-- A rotated file that nobody writes to any more: what stands at its end is a line.
local function is_over(job, one)
  if not one.rotated or one.behind or job.ctx.now() - one.stat.mtime < FOLLOWED then return false end
  local rest = one.file:read(LINE, one.offset)
  if rest and rest ~= "" and not one.skip then take_line(job, rest) end
  return true
end

local function read_all(job, found)
  local order, files = {}, {}
  for _, one in pairs(found) do order[#order + 1] = one end
  local function rank(one) return one.twin and 3 or one.rotated and 1 or 2 end
  table.sort(order, function(a, b)
    if rank(a) ~= rank(b) then return rank(a) < rank(b) end
    return a.path < b.path
  end)
  for i, one in ipairs(order) do
    local twin = one.twin and found[one.twin]
    if twin then -- read there
      place_at(one, math.min(twin.offset, one.stat.size))
    else
      read_on(job, one, math.ceil(job.left / (#order - i + 1)))
    end
    if not is_over(job, one) then
      files[one.id] = { origin = one.origin or one.path, offset = one.offset, hash = one.hash, skip = one.skip,
        twin = one.twin, rotated = one.rotated, behind = one.behind }
    end
    one.file:close()
  end
  return files
end

local HINT = "; functions run as builtin.user: \"65534:4\" there is nobody in group adm (docs/builtins-shipped.md)"

local function tell(job)
  local state, told = job.ctx.state, {}
  for _, problem in ipairs(job.problems) do
    local path, why, code = problem[1], problem[2], problem[3]
    if code == "EACCES" then why = ("%s: may not be read%s"):format(path, HINT) end
    problem.text = why:find(path, 1, true) and why or path .. ": " .. why
    told[path] = true
    if not (state.told and state.told[path]) then job.ctx.log("warning", problem.text) end
  end
  state.told = next(told) and told or nil
end

local function results(job, files)
  local list = { lines = job.lines, bytes = job.bytes, files = files, unreadable = #job.problems, gone = job.gone,
    behind = job.behind, long_lines = job.long }
  local function add(name, value, tags) list[#list + 1] = { name = name, value = value, tags = tags } end
  for _, watch in ipairs(job.watches) do
    if watch.n == 0 then add(watch.name, watch.count) end
    for _, one in pairs(watch.combinations) do
      add(watch.name, one.count, one.tags)
      if one.values > 0 then
        add("value.sum", one.sum, one.tags)
        add("value.avg", one.sum / one.values, one.tags)
        add("value.min", one.min, one.tags)
        add("value.max", one.max, one.tags)
      end
    end
  end
  return list
end

local function run(params, ctx)
  local job, why = prepare(params, ctx)
  if not job then return nil, why end
  local found
  found, why = survey(job)
  if not found then return nil, why end
  tell(job)
  if not next(found) and job.problems[1] then return nil, job.problems[1].text end
  ctx.state.files = read_all(job, found)
  ctx.state.started = true
  local count = 0
  for _ in pairs(found) do count = count + 1 end
  return results(job, count)
end

return {
  description = "lines of growing files that match regular expressions, numbers and tags out of them",
  params = {
    path = { type = "list", description = "files, absolute; * ? [abc] in any part" },
    pattern = { type = "string", description = "regular expression: lines that hold it are counted as cnt" },
    patterns = { type = "table", description = "name = expression: further counts" },
    ignore = { type = "string", description = "lines that hold this expression are left out" },
    value = { type = "string", description = "expression whose first group is a number of lines that pattern matches" },
    tags = { type = "table", description = "name = expression, whose first group is the tag's value" },
    from = { type = "string", default = "end",
      description = '"end" or "start": where to begin in files that are there at the first run' },
    max_bytes = { type = "number", default = 16 * 2 ^ 20, description = "read in one run; the rest in the next" },
    file_path = { type = "string", description = "as path, of items LOG" },
    func = { type = "string", description = "of items LOG: cnt" },
    time_format = { type = "string", description = "of items LOG, not used: lines count when read" },
    degree = { type = "string", description = "of items LOG, not used" },
    collect_type = { type = "string", description = "of items LOG, not used" },
  },
  interval = 10,
  run = run,
}
