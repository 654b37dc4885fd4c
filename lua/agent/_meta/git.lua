---@meta git

--- Bare repositories with libgit2: no configuration of the machine, no hooks, filters or submodules. Every call may
--- block: for worker processes only (agent.worker.modules). CODE is "auth", "certificate", "host_key", "too_big",
--- "not_found", "bad_tree" or "failed".
local git = {}

---@class git.setup
---@field home? string the directory whose .ssh/known_hosts host keys are checked against; has no .gitconfig
---@field ca_file? string PEM
---@field ca_dir? string

--- Before anything else in a process.
---@param options git.setup
---@return true|nil, string|nil, string|nil
function git.setup(options) end

--- Makes a bare repository in a directory that does not exist yet.
---@param path string
---@return git.repository|nil, string|nil, string|nil
function git.create(path) end

--- The commit that is checked out in a directory of any git; only of one that belongs to our user.
---@param path string
---@return string|nil, string|nil, string|nil
function git.head(path) end

--- Waits until what was written to the file system of the directory is on the disk. CODE is an errno's name.
---@param path string
---@return true|nil, string|nil, string|nil
function git.sync(path) end

--- Two names change places at one instant. CODE is an errno's name.
---@param a string
---@param b string
---@return true|nil, string|nil, string|nil
function git.exchange(a, b) end

---@class git.remote
---@field url string
---@field user? string default: the URL's, else git
---@field password? string for https
---@field key? string file of a private ssh key without passphrase
---@field max_bytes number that may be received in all

---@class git.ref
---@field name string such as HEAD, refs/heads/release; refs/tags/v1^{} is the commit of the tag
---@field id string
---@field target? string the ref that a symbolic one stands for

---@class git.entry
---@field path string below the root
---@field id string
---@field mode integer as git has it, such as 0x81a4 (0100644)
---@field size number bytes of a file or link, else 0

---@class git.limits
---@field max_bytes number of all files together
---@field max_entries number
---@field max_depth number

---@class git.repository
local Repository = {}

--- Follows no redirect to another host. A server whose key or certificate can't be verified is not talked to.
---@param remote git.remote
---@return true|nil, string|nil, string|nil
function Repository:connect(remote) end

--- What the connected remote has.
---@return git.ref[]|nil, string|nil, string|nil
function Repository:refs() end

--- Fetches one to eight refspecs; shallow: without history, where libgit2 (1.7) and the transport (not file) can.
---@param refspecs string[]
---@param shallow? boolean
---@return true|nil, string|nil, string|nil
function Repository:fetch(refspecs, shallow) end

--- The commit that the name of a ref or a (shortened) id stands for.
---@param name string
---@return string|nil, string|nil, string|nil
function Repository:commit(name) end

--- Everything in a commit's tree, a directory before what is in it. Nothing of it has been checked.
---@param commit string
---@param limits git.limits
---@return git.entry[]|nil, string|nil, string|nil
function Repository:entries(commit, limits) end

--- The bytes of a file, or a link's target.
---@param id string
---@return string|nil, string|nil, string|nil
function Repository:blob(id) end

--- Writes a file's bytes to a path that is not there yet. CODE may be an errno's name.
---@param id string
---@param path string
---@param mode integer permissions, whatever the umask is
---@return true|nil, string|nil, string|nil
function Repository:save(id, path, mode) end

--- Any number of times.
function Repository:close() end

return git
