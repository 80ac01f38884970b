// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.0: the server ends the body by closing, and cuts it into no chunks.

#include "process/http.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/path.h"

enum { OH_HTTP_MAX_BYTES = 64 << 20, OH_HTTP_FIRST_BYTES = 16384 };

struct oh_http_url {
    char host[256]; // Without the brackets of an IPv6 address.
    char port[8];
    const char *path; // Inside the URL.
};

static int refuse_url(const char *url, struct oh_err *err)
{
    return oh_err_set(err, -EINVAL, "%s is not a URL of the form http://HOST[:PORT][/PATH]", url);
}

static int parse_url(const char *url, struct oh_http_url *parsed, struct oh_err *err)
{
    static const char scheme[] = "http://";
    if (strncmp(url, scheme, strlen(scheme)) != 0) {
        return refuse_url(url, err);
    }
    const char *at = url + strlen(scheme);
    const bool has_brackets = at[0] == '[';
    at += has_brackets ? 1 : 0;
    const size_t host_length = strcspn(at, has_brackets ? "]" : ":/");
    if (host_length == 0 || host_length >= sizeof parsed->host ||
        (has_brackets && at[host_length] != ']')) {
        return refuse_url(url, err);
    }
    memcpy(parsed->host, at, host_length);
    parsed->host[host_length] = '\0';
    at += host_length + (has_brackets ? 1 : 0);
    (void)strcpy(parsed->port, "80");
    if (at[0] == ':') {
        const size_t port_length = strspn(at + 1, "0123456789");
        if (port_length == 0 || port_length > 5) {
            return refuse_url(url, err);
        }
        memcpy(parsed->port, at + 1, port_length);
        parsed->port[port_length] = '\0';
        at += 1 + port_length;
    }
    parsed->path = at;
    return at[0] == '/' || at[0] == '\0' ? 0 : refuse_url(url, err);
}

static int open_one(const struct addrinfo *address, unsigned timeout_s)
{
    const struct timeval timeout = {.tv_sec = (time_t)timeout_s};
    const int fd =
        socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
    if (fd < 0) {
        return -errno;
    }
    // A connection attempt waits no longer than a send does.
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        const int code = errno == EINPROGRESS ? -ETIMEDOUT : -errno;
        (void)close(fd);
        return code;
    }
    return fd;
}

static int open_host(const struct oh_http_url *url, unsigned timeout_s, struct oh_err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    const int code = getaddrinfo(url->host, url->port, &hints, &found);
    if (code != 0) {
        return oh_err_set(err, -EINVAL, "%s: %s", url->host, gai_strerror(code));
    }
    int fd = -ENOENT;
    for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
        fd = open_one(at, timeout_s);
    }
    freeaddrinfo(found);
    return fd < 0 ? oh_err_set(err, fd, "cannot connect to %s port %s: %s", url->host, url->port,
                               strerror(-fd))
                  : fd;
}

static int send_all(int fd, const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        const ssize_t sent = send(fd, text, left, MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        }
        text += sent;
        left -= (size_t)sent;
    }
    return 0;
}

static int receive_all(int fd, char **text)
{
    size_t room = OH_HTTP_FIRST_BYTES;
    size_t used = 0;
    char *buffer = malloc(room);
    ssize_t got = 1;
    while (buffer != NULL && got > 0 && used < OH_HTTP_MAX_BYTES) {
        if (room - used < OH_HTTP_FIRST_BYTES / 2) {
            room *= 2;
            char *const larger = realloc(buffer, room);
            if (larger == NULL) {
                free(buffer);
                return -ENOMEM;
            }
            buffer = larger;
        }
        got = recv(fd, buffer + used, room - used - 1, 0);
        used += got > 0 ? (size_t)got : 0;
    }
    if (buffer == NULL) {
        return -ENOMEM;
    }
    if (got < 0 || used >= OH_HTTP_MAX_BYTES) {
        const int code = got >= 0 ? -EFBIG : errno == EAGAIN ? -ETIMEDOUT : -errno;
        free(buffer);
        return code;
    }
    buffer[used] = '\0';
    *text = buffer;
    return 0;
}

static int exchange(int fd, const struct oh_http_url *url, char **answer)
{
    char *const request = oh_str_printf("GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n",
                                        url->path, url->host);
    if (request == NULL) {
        return -ENOMEM;
    }
    int result = send_all(fd, request);
    free(request);
    return result == 0 ? receive_all(fd, answer) : result;
}

// Cuts the head off, in place.
static int take_body(char *answer, const char *url, struct oh_err *err)
{
    int status = 0;
    char *const body = strstr(answer, "\r\n\r\n");
    if (sscanf(answer, "HTTP/%*d.%*d %d", &status) != 1 || body == NULL) {
        return oh_err_set(err, -EINVAL, "%s: the answer is not one of HTTP", url);
    }
    if (status != 200) {
        return oh_err_set(err, -ENOENT, "%s: the answer is status %d, not 200", url, status);
    }
    memmove(answer, body + 4, strlen(body + 4) + 1);
    return 0;
}

int oh_http_get(const char *url, unsigned timeout_s, char **body, struct oh_err *err)
{
    struct oh_http_url parsed;
    char *answer = NULL;
    int result = parse_url(url, &parsed, err);
    if (result < 0) {
        return result;
    }
    parsed.path = parsed.path[0] == '\0' ? "/" : parsed.path;
    const int fd = open_host(&parsed, timeout_s, err);
    if (fd < 0) {
        return fd;
    }
    result = exchange(fd, &parsed, &answer);
    (void)close(fd);
    if (result < 0) {
        return oh_err_set(err, result, "%s: %s", url, strerror(-result));
    }
    result = take_body(answer, url, err);
    if (result < 0) {
        free(answer);
        return result;
    }
    *body = answer;
    return 0;
}
