-- What a registry would answer: namespace → items, as in its resource API (every value a string).
-- The system groups always run; an item of theirs only sets the interval.
return {
  ["demo.local.loda"] = {
    { measurement_type = "CPU", name = "cpu.idle", interval = "10" },
    { measurement_type = "MEM", name = "mem.used.percent", interval = "10" },
    { measurement_type = "FS", name = "fs.space.used.percent", interval = "60" },
    { measurement_type = "PORT", name = "PORT.ssh.22", port = "22", connect_timeout = "3", interval = "60" },
    { measurement_type = "PROC", name = "PROC.sshd", bin_path = "/usr/sbin/sshd", interval = "60" },
  },
}
