/* The worker's side: frames on the socket that it inherited as descriptor 3, blocking. */
#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "exec/frame.h"

enum { CHANNEL_FD = 3 };

static int refuse(lua_State *L, int error) {
    lua_pushnil(L);
    lua_pushstring(L, strerror(error));
    lua_pushstring(L, strerrorname_np(error));
    return 3;
}

/* 1: all of it; 0: end of file before the first byte; -1: errno. */
static int read_all(void *to, size_t n) {
    for (size_t got = 0; got < n;) {
        ssize_t r = read(CHANNEL_FD, (char *)to + got, n - got);
        if (r == 0) {
            return got == 0 ? 0 : (errno = EPIPE, -1);
        }
        if (r < 0 && errno != EINTR) {
            return -1;
        }
        got += r > 0 ? (size_t)r : 0;
    }
    return 1;
}

static int read_frame(lua_State *L) {
    unsigned char head[FRAME_HEAD];
    int rc = read_all(head, sizeof head);
    if (rc == 0) {
        lua_pushnil(L);
        return 1;
    }
    if (rc < 0) {
        return refuse(L, errno);
    }
    size_t len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (len > FRAME_MAX) {
        return refuse(L, EMSGSIZE);
    }
    char *bytes = lua_newuserdata(L, len + 1);
    if (len && read_all(bytes, len) != 1) {
        return refuse(L, errno ? errno : EPIPE);
    }
    lua_pushlstring(L, bytes, len);
    return 1;
}

static int write_frame(lua_State *L) {
    size_t len = 0;
    const char *bytes = luaL_checklstring(L, 1, &len);
    unsigned char head[FRAME_HEAD];
    if (len > FRAME_MAX) {
        return refuse(L, EMSGSIZE);
    }
    frame_write_head(head, (uint32_t)len);
    for (size_t sent = 0; sent < FRAME_HEAD + len;) {
        size_t skip = sent < FRAME_HEAD ? 0 : sent - FRAME_HEAD;
        size_t head_left = sent < FRAME_HEAD ? FRAME_HEAD - sent : 0;
        struct iovec parts[] = {{head + FRAME_HEAD - head_left, head_left},
                                {(char *)bytes + skip, len - skip}};
        ssize_t n = writev(CHANNEL_FD, parts, 2);
        if (n < 0 && errno != EINTR) {
            return refuse(L, errno);
        }
        sent += n > 0 ? (size_t)n : 0;
    }
    lua_pushboolean(L, 1);
    return 1;
}

static const luaL_Reg functions[] = {
    {"read_frame", read_frame},
    {"write_frame", write_frame},
    {NULL, NULL},
};

int luaopen_host_channel(lua_State *L);
int luaopen_host_channel(lua_State *L) {
    luaL_newlib(L, functions);
    return 1;
}
