#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <uv.h>

#include "proc/cpu.h"
#include "proc/disk.h"
#include "proc/file.h"
#include "proc/kernel_files.h"
#include "proc/memory.h"
#include "proc/lua_mounts.h"
#include "proc/lua_sweep.h"
#include "proc/lua_tables.h"
#include "proc/network.h"
#include "proc/process.h"
#include "util/lua_class.h"

#define READER "host.procfs.reader"

enum { LARGEST_FILE = 4 << 20, KEPT_BUFFER = 256 << 10 };

enum file { STAT, LOADAVG, DISKSTATS, MEMINFO, NET_DEV, SOCKSTAT, FILE_NR, FILE_MAX, FILES };

static const struct proc_file files[FILES] = {
    [STAT] = {"stat", true, -1},
    [LOADAVG] = {"loadavg", true, -1},
    [DISKSTATS] = {"diskstats", false, -1},
    [MEMINFO] = {"meminfo", true, -1},
    [NET_DEV] = {"net/dev", false, -1},
    [SOCKSTAT] = {"net/sockstat", true, -1},
    [FILE_NR] = {"sys/fs/file-nr", true, -1},
    [FILE_MAX] = {"sys/fs/file-max", true, -1},
};

/* Its environment table holds the tables that the methods hand out again and again. */
struct reader {
    int proc; /* -1: closed */
    int sys;  /* -1: there is none */
    struct proc_file files[FILES];
    struct proc_walk walk;
    struct proc_disk_memory disks;
    struct buffer bytes;
};

static struct reader *check_reader(lua_State *L) {
    struct reader *r = luaL_checkudata(L, 1, READER);
    luaL_argcheck(L, r->proc >= 0, 1, "reader is closed");
    return r;
}

static int fail(lua_State *L, const char *what, int rc) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", what, uv_strerror(rc));
    lua_pushstring(L, uv_err_name(rc));
    return 3;
}

static int fail_format(lua_State *L, enum file which) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s: not in the format of the kernel", files[which].path);
    lua_pushliteral(L, "EINVAL");
    return 3;
}

/* The file's bytes as something to scan, valid until the next call. false: the three values that
 * tell why are on the stack. */
static bool read_file(lua_State *L, struct reader *r, enum file which, struct scan *s) {
    int rc = proc_file_read(&r->files[which], r->proc, &r->bytes);
    if (rc != 0) {
        fail(L, files[which].path, rc);
        return false;
    }
    *s = scan_bytes(r->bytes.data, r->bytes.len);
    return true;
}

/* After a giant file the buffer is given back. */
static void trim(struct reader *r) {
    if (r->bytes.cap > KEPT_BUFFER) {
        buffer_free(&r->bytes);
    }
}

static int reader_cpu(lua_State *L) {
    struct reader *r = check_reader(L);
    struct scan s;
    if (!read_file(L, r, STAT, &s)) {
        return 3;
    }
    tables_push_kept(L, "cpu");
    tables_push_kept(L, "cores");
    struct proc_cpu cpu;
    bool has_all = false;
    int cores = 0;
    while (proc_cpu_next(&s, &cpu)) {
        if (cpu.id == PROC_CPU_ALL) {
            has_all = true;
            lua_pushvalue(L, -2);
        } else {
            tables_push_record(L, ++cores);
            tables_set_number(L, "id", (uint64_t)cpu.id);
        }
        tables_set_number(L, "idle", cpu.idle);
        tables_set_number(L, "total", cpu.total);
        lua_pop(L, 1);
    }
    trim(r);
    tables_cut_list(L, cores);
    lua_setfield(L, -2, "cores");
    return has_all ? 1 : fail_format(L, STAT);
}

static int reader_loadavg(lua_State *L) {
    struct reader *r = check_reader(L);
    struct scan s;
    if (!read_file(L, r, LOADAVG, &s)) {
        return 3;
    }
    double averages[3];
    if (!proc_loadavg(s.at, scan_left(&s), averages)) {
        return fail_format(L, LOADAVG);
    }
    for (int i = 0; i < 3; i++) {
        lua_pushnumber(L, averages[i]);
    }
    return 3;
}

static int reader_disks(lua_State *L) {
    struct reader *r = check_reader(L);
    struct scan s;
    if (!read_file(L, r, DISKSTATS, &s)) {
        return 3;
    }
    tables_push_kept(L, "disks");
    struct proc_disk disk;
    int disks = 0;
    for (size_t position = 0; proc_disk_next(&s, &disk); position++) {
        if (!proc_disk_whole(&r->disks, r->sys, position, &disk) || proc_disk_unconnected(&disk)) {
            continue;
        }
        tables_push_record(L, ++disks);
        lua_pushlstring(L, disk.name, disk.name_len);
        lua_setfield(L, -2, "name");
        tables_set_number(L, "reads", disk.reads);
        tables_set_number(L, "read_ms", disk.read_ms);
        tables_set_number(L, "writes", disk.writes);
        tables_set_number(L, "write_ms", disk.write_ms);
        tables_set_number(L, "io_ms", disk.io_ms);
        lua_pop(L, 1);
    }
    trim(r);
    tables_cut_list(L, disks);
    return 1;
}

static int reader_meminfo(lua_State *L) {
    struct reader *r = check_reader(L);
    struct scan s;
    if (!read_file(L, r, MEMINFO, &s)) {
        return 3;
    }
    struct proc_memory memory;
    if (!proc_memory(s.at, scan_left(&s), &memory)) {
        return fail_format(L, MEMINFO);
    }
    tables_push_kept(L, "memory");
    tables_set_number(L, "total", memory.total);
    tables_set_number(L, "free", memory.free);
    tables_set_number(L, "buffers", memory.buffers);
    tables_set_number(L, "cached", memory.cached);
    tables_set_number(L, "swap_total", memory.swap_total);
    tables_set_number(L, "swap_free", memory.swap_free);
    if (memory.has_available) {
        tables_set_number(L, "available", memory.available);
    } else {
        lua_pushnil(L);
        lua_setfield(L, -2, "available");
    }
    return 1;
}

static int reader_netdev(lua_State *L) {
    struct reader *r = check_reader(L);
    struct scan s;
    if (!read_file(L, r, NET_DEV, &s)) {
        return 3;
    }
    tables_push_kept(L, "interfaces");
    struct proc_interface interface;
    int interfaces = 0;
    while (proc_interface_next(&s, &interface)) {
        tables_push_record(L, ++interfaces);
        lua_pushlstring(L, interface.name, interface.name_len);
        lua_setfield(L, -2, "name");
        tables_set_number(L, "in_bytes", interface.in_bytes);
        tables_set_number(L, "in_dropped", interface.in_dropped);
        tables_set_number(L, "out_bytes", interface.out_bytes);
        tables_set_number(L, "out_dropped", interface.out_dropped);
        lua_pop(L, 1);
    }
    trim(r);
    tables_cut_list(L, interfaces);
    return 1;
}

static int reader_sockstat(lua_State *L) {
    struct reader *r = check_reader(L);
    struct scan s;
    if (!read_file(L, r, SOCKSTAT, &s)) {
        return 3;
    }
    struct proc_sockets sockets;
    if (!proc_sockets(s.at, scan_left(&s), &sockets)) {
        return fail_format(L, SOCKSTAT);
    }
    lua_newtable(L);
    tables_set_number(L, "used", sockets.used);
    if (sockets.has_tcp) {
        tables_set_number(L, "tcp_inuse", sockets.tcp_inuse);
        tables_set_number(L, "tcp_timewait", sockets.tcp_timewait);
    }
    return 1;
}

static int reader_files(lua_State *L) {
    struct reader *r = check_reader(L);
    struct scan s;
    if (!read_file(L, r, FILE_NR, &s)) {
        return 3;
    }
    struct proc_files kernel;
    if (!proc_files(s.at, scan_left(&s), &kernel)) {
        return fail_format(L, FILE_NR);
    }
    uint64_t max = 0;
    int rc = proc_file_read(&r->files[FILE_MAX], r->proc, &r->bytes);
    if (rc == 0 && proc_number(r->bytes.data, r->bytes.len, &max)) {
        kernel.max = max;
    }
    lua_newtable(L);
    tables_set_number(L, "allocated", kernel.allocated);
    tables_set_number(L, "max", kernel.max);
    return 1;
}

static int reader_link_speed(lua_State *L) {
    struct reader *r = check_reader(L);
    size_t n = 0;
    const char *name = luaL_checklstring(L, 2, &n);
    char path[sizeof "class/net//speed" + PROC_INTERFACE_NAME];
    uint64_t speed = 0;
    if (r->sys >= 0 && n > 0 && n <= PROC_INTERFACE_NAME && name[0] != '.' &&
        !memchr(name, '/', n)) {
        snprintf(path, sizeof path, "class/net/%s/speed", name);
        char bytes[32];
        int got = proc_read_once(r->sys, path, bytes, sizeof bytes);
        speed = got > 0 ? proc_link_speed(bytes, (size_t)got) : 0;
    }
    lua_pushnumber(L, (lua_Number)speed);
    return 1;
}

static int reader_processes(lua_State *L) {
    struct reader *r = check_reader(L);
    struct proc_counts counts;
    int rc = proc_count(&r->walk, r->proc, &counts);
    if (rc != 0) {
        return fail(L, "processes", rc);
    }
    tables_push_kept(L, "processes");
    tables_set_number(L, "total", counts.total);
    tables_set_number(L, "running", counts.running);
    tables_set_number(L, "zombies", counts.zombies);
    return 1;
}

static int reader_sweep(lua_State *L) {
    return procfs_sweep_open(L, check_reader(L)->proc);
}

static int reader_hostname(lua_State *L) {
    struct utsname names;
    uname(&names); /* fails only for a bad pointer */
    lua_pushstring(L, names.nodename);
    return 1;
}

static int reader_close(lua_State *L) {
    struct reader *r = luaL_checkudata(L, 1, READER);
    for (int i = 0; i < FILES; i++) {
        proc_file_close(&r->files[i]);
    }
    proc_walk_close(&r->walk);
    proc_disk_forget(&r->disks);
    buffer_free(&r->bytes);
    if (r->proc >= 0) {
        close(r->proc);
    }
    if (r->sys >= 0) {
        close(r->sys);
    }
    r->proc = r->sys = -1;
    return 0;
}

static const char *root_option(lua_State *L, const char *name, const char *otherwise) {
    if (!lua_istable(L, 1)) {
        return otherwise;
    }
    lua_getfield(L, 1, name);
    const char *path = luaL_optstring(L, -1, otherwise);
    lua_pop(L, 1); /* the options table keeps the string */
    return path;
}

static int open_reader(lua_State *L) {
    if (!lua_isnoneornil(L, 1)) {
        luaL_checktype(L, 1, LUA_TTABLE);
    }
    const char *procfs = root_option(L, "procfs", "/proc");
    const char *sysfs = root_option(L, "sysfs", "/sys");
    struct reader *r = lua_newuserdata(L, sizeof *r);
    memset(r, 0, sizeof *r);
    memcpy(r->files, files, sizeof files);
    buffer_init(&r->bytes, LARGEST_FILE);
    r->proc = r->sys = -1;
    luaL_getmetatable(L, READER);
    lua_setmetatable(L, -2);
    lua_newtable(L);
    lua_setfenv(L, -2);
    r->proc = open(procfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->proc < 0) {
        return fail(L, procfs, -errno);
    }
    r->walk.keep = proc_is_procfs(r->proc);
    if (r->walk.keep && strcmp(procfs, "/proc") != 0) {
        /* A host's procfs seen from a container: net is a link to our own network there, not the
         * host's. */
        r->files[NET_DEV].path = "1/net/dev";
        r->files[SOCKSTAT].path = "1/net/sockstat";
    }
    r->sys = open(sysfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return 1;
}

static const luaL_Reg methods[] = {
    {"close", reader_close},
    {"cpu", reader_cpu},
    {"disks", reader_disks},
    {"files", reader_files},
    {"hostname", reader_hostname},
    {"link_speed", reader_link_speed},
    {"loadavg", reader_loadavg},
    {"meminfo", reader_meminfo},
    {"netdev", reader_netdev},
    {"processes", reader_processes},
    {"sockstat", reader_sockstat},
    {"sweep", reader_sweep},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"open", open_reader},
    {"parse_mounts", procfs_parse_mounts},
    {NULL, NULL},
};

int luaopen_host_procfs(lua_State *L);
int luaopen_host_procfs(lua_State *L) {
    procfs_sweep_register(L);
    lua_class(L, READER, reader_close, methods);
    luaL_newlib(L, functions);
    return 1;
}
