-- Says that builtin functions run: PLUGIN.test.test is always 100, as from the Go agent.
return {
  description = "a metric that is always 100",
  run = function()
    return { test = 100 }
  end,
}
