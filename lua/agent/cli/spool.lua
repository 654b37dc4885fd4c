-- `agent spool`: what waits on disk, for the operator. Works on the directories themselves and needs no agent; beside a
-- running one it only reads.

local M = {
  summary = "list, show, deliver or drop the messages that wait on disk",
  usage = "agent spool [-f CONF] [--output NAME] [--older AGE] [--all] [ACTION…]",
  details = "Actions:\n"
    .. "  list           the files: number, time, bytes, messages\n"
    .. "  cat [NUMBER…]  the messages, one a line, of all files or of these\n"
    .. "  drain          publishes them to the configured output; not beside a running agent, which does so itself\n"
    .. "  drop           removes those older than AGE (such as 12h), or --all; not beside a running agent\n"
    .. "--output NAME takes only the outputs of that name.\n"
    .. "Exit status: 0 done, 1 not (all) done, 64 wrong usage.\n",
}

local STALL_SECONDS = 30
local BATCH = 1024 * 1024

local function say(...)
  io.stdout:write(...)
end

local function complain(...)
  io.stderr:write("agent spool: ", ...)
  io.stderr:write("\n")
end

-- Calls visit(item, next) for each of the list, one after the other, then done().
local function each(list, visit, done)
  local function step(i)
    if list[i] == nil then return done() end
    visit(list[i], function() step(i + 1) end)
  end
  step(1)
end

-- The store of an output, its files, and why it isn't ours to change (nil: it is).
local function open(conf, mine, callback)
  local store = require("host.spool").new(conf.spooldir)
  if mine then
    return store:open(function(err, files)
      if err then return callback(err) end
      callback(nil, store, files)
    end)
  end
  store:list(function(err, files)
    if err and err.code == "ENOENT" then return callback(nil, store, {}) end
    callback(err, store, files)
  end)
end

local function visit_segment(store, file, visit)
  return function(done)
    store:read(file.number, file.created, function(err, segment)
      if err then
        complain(("file %d: %s"):format(file.number, err.message))
        return done(false)
      end
      while true do
        local topic, messages = segment:next(BATCH)
        if not topic then
          if messages then complain(("file %d: its end is torn"):format(file.number)) end
          return done(not messages)
        end
        visit(topic, messages)
      end
    end)
  end
end

local function holder_of(conf)
  local pid = require("host.pidfile").holder(conf.spooldir .. "/lock")
  return pid
end

local actions = {}

function actions.list(conf, _, callback)
  open(conf, false, function(err, store, files)
    if err then
      complain(err.message)
      return callback(false)
    end
    local pid = holder_of(conf)
    say(("%s (%s)%s: %d files, %d put away\n"):format(conf.spooldir, conf.name,
      pid and (", in use by process %d"):format(pid) or "", #files, files.bad or 0))
    local fine = true
    each(files, function(file, next_one)
      local count = 0
      visit_segment(store, file, function(_, messages) count = count + #messages end)(function(whole)
        fine = fine and whole
        say(("%12d  %s  %10d bytes  %8d messages\n"):format(file.number,
          os.date("!%Y-%m-%dT%H:%M:%SZ", file.created), file.size, count))
        next_one()
      end)
    end, function() callback(fine) end)
  end)
end

function actions.cat(conf, options, callback)
  local wanted
  for i = 2, #options.actions do
    wanted = wanted or {}
    wanted[tonumber(options.actions[i]) or -1] = true
  end
  open(conf, false, function(err, store, files)
    if err then
      complain(err.message)
      return callback(false)
    end
    local fine = true
    each(files, function(file, next_one)
      if wanted and not wanted[file.number] then return next_one() end
      visit_segment(store, file, function(_, messages)
        for _, message in ipairs(messages) do say(message[1], message[2], "\n") end
      end)(function(whole)
        fine = fine and whole
        next_one()
      end)
    end, function() callback(fine) end)
  end)
end

function actions.drop(conf, options, callback)
  local now = require("host.clock").wall()
  open(conf, true, function(err, store, files)
    if err then
      complain(err.message)
      return callback(false)
    end
    local dropped, count = 0, 0
    each(files, function(file, next_one)
      if not options.all and now - file.created < options.seconds then return next_one() end
      store:remove(file.number, file.created, true, function(why, messages)
        if why then
          complain(why.message)
          return callback(false)
        end
        dropped, count = dropped + messages, count + 1
        next_one()
      end)
    end, function()
      say(("%s: dropped %d messages in %d files\n"):format(conf.spooldir, dropped, count))
      store:close(function() callback(true) end)
    end)
  end)
end

local function new_lane(conf)
  local clock, timer, log = require("host.clock"), require("agent.timer"), require("host.log")
  log.setup({ level = "ERROR" })
  local disk = require("agent.publish.disk").new(timer.after)
  return require("agent.publish.lane").new(conf, { clock = clock, after = timer.after, call = require("host").call,
    log = log, disk = function() return disk end })
end

function actions.drain(conf, _, callback)
  local pid = holder_of(conf)
  if pid then
    complain(("%s is in use by process %d, which delivers it by itself"):format(conf.spooldir, pid))
    return callback(false)
  end
  open(conf, false, function(err, _, files)
    if not err and #files == 0 then return callback(true) end
    local lane, after = new_lane(conf), require("agent.timer").after
    local before, quiet = 0, 0
    local function finish(fine)
      say(("%s: delivered %d messages\n"):format(conf.spooldir, before))
      lane:close(1, function() callback(fine) end)
    end
    local function look()
      local now = lane:counters()
      quiet = now.published > before and 0 or quiet + 0.1
      before = now.published
      if now.spool and lane.draining:idle() and now.spool.files == 0 then return finish(true) end
      if quiet < STALL_SECONDS then return after(0.1, look) end
      local why = now.spool and now.spool.last_error or lane.output:status().last_error
      complain(why and (type(why) == "table" and why.message or why) or "the output does not take it")
      finish(false)
    end
    look()
  end)
end

local function wrong(message)
  complain(message, "; usage: ", M.usage)
  return 64
end

-- What is wrong with the options, or nil; reads --older into seconds.
local function check(options)
  local action = options.actions[1]
  if not action then return "list, cat, drain or drop?" end
  if not actions[action] then return "unknown action " .. action end
  if options.actions[2] and action ~= "cat" then return "unexpected argument " .. options.actions[2] end
  if options.older then
    options.seconds = require("agent.config.types").duration.read(options.older, { min = 0 })
    if not options.seconds then return "no duration: " .. options.older end
  end
  if action == "drop" and not options.older == not options.all then return "drop wants --older AGE or --all" end
end

function M.run(args)
  local options, code = require("agent.cli.options").parse(M, args)
  if not options then return code end
  local problem = check(options)
  if problem then return wrong(problem) end
  local host = require("host")
  require("agent.config").load(options.f, function(err, conf)
    if err then
      require("agent.config").show(io.stderr, options.f, err)
      return host.exit(1)
    end
    local fine, found = true, false
    each({ conf.output, unpack(conf.output.also) }, function(one, next_one)
      if options.output and options.output ~= one.name then return next_one() end
      found = true
      actions[options.actions[1]](one, options, function(well)
        fine = fine and well
        next_one()
      end)
    end, function()
      if not found then complain("no output ", options.output) end
      host.exit(fine and found and 0 or 1)
    end)
  end)
end

return M
