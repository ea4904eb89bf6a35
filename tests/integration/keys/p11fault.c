/* p11fault: a PKCS#11 module that forwards to a real one and delays, fails or changes chosen calls.
 *
 * Build: gcc -shared -fPIC -O2 -Wall -I/usr/include/p11-kit-1 -o p11fault.so p11fault.c -ldl   (libp11-kit-dev)
 *   P11_REAL  path of the real module (required)
 *   P11_CTL   file with lines "<function|*> <delay_ms> <rv_hex> [times]", read again at every wrapped call, e.g.
 *             C_Sign 3000 0      a slow token          C_SignInit 0 32   CKR_DEVICE_REMOVED
 *             C_Sign 0 b3 1      CKR_SESSION_HANDLE_INVALID, once per process
 *             C_Login 0 dead     SIGSEGV               C_Sign 0 5eed    the call is made, its value spoiled
 *             flags 0 20000      CKF_USER_PIN_FINAL_TRY is added to each token's flags
 *   P11_INIT_RESERVED  text for pReserved of C_Initialize, e.g. "configdir='sql:./nss'" (NSS softokn)
 *   P11_LOG   file that gets the name of every wrapped call
 *   P11_PAD   the PIN that a login without PIN stands for: what a person types at a PIN pad
 */
#include <p11-kit/pkcs11.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static CK_FUNCTION_LIST *R; /* real module */
static CK_FUNCTION_LIST F;  /* what we hand out */

static unsigned long added_flags;

static CK_RV ctl(const char *fn)
{
    static unsigned long used[64];
    const char *p = getenv("P11_CTL"), *log = getenv("P11_LOG");
    FILE *f = log ? fopen(log, "a") : NULL;
    char line[160], n[64];
    unsigned long d, rv, times;
    int at = 0;
    CK_RV out = CKR_OK;
    if (f) {
        fprintf(f, "%s\n", fn);
        fclose(f);
    }
    f = p ? fopen(p, "r") : NULL;
    if (!f)
        return CKR_OK;
    added_flags = 0;
    for (; at < 64 && fgets(line, sizeof line, f); at++) {
        times = 0;
        if (sscanf(line, "%63s %lu %lx %lu", n, &d, &rv, &times) < 3)
            continue;
        if (!strcmp(n, "flags"))
            added_flags |= rv;
        if (strcmp(n, fn) && strcmp(n, "*"))
            continue;
        if (times && used[at]++ >= times)
            continue;
        if (d)
            usleep(d * 1000);
        if (rv)
            out = rv;
    }
    fclose(f);
    if (out == 0xdead) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    return out;
}

#define W(name, sig, args) \
    static CK_RV w_##name sig { CK_RV r = ctl(#name); if (r) return r; return R->name args; }

static CK_RV w_C_Initialize(void *a)
{
    CK_RV r = ctl("C_Initialize");
    CK_C_INITIALIZE_ARGS ia;
    if (r)
        return r;
    if (!getenv("P11_INIT_RESERVED"))
        return R->C_Initialize(a);
    memset(&ia, 0, sizeof ia);
    ia.flags = CKF_OS_LOCKING_OK;
    ia.pReserved = getenv("P11_INIT_RESERVED");
    return R->C_Initialize(&ia);
}
W(C_Finalize, (void *a), (a))
W(C_GetInfo, (CK_INFO *i), (i))
W(C_GetSlotInfo, (CK_SLOT_ID s, CK_SLOT_INFO *i), (s, i))
W(C_CloseSession, (CK_SESSION_HANDLE h), (h))
W(C_CloseAllSessions, (CK_SLOT_ID s), (s))
W(C_Logout, (CK_SESSION_HANDLE h), (h))
W(C_FindObjects, (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE *o, unsigned long m, unsigned long *n), (h, o, m, n))
W(C_FindObjectsFinal, (CK_SESSION_HANDLE h), (h))
W(C_GetAttributeValue, (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t, unsigned long n), (h, o, t, n))
W(C_GetSlotList, (CK_BBOOL p, CK_SLOT_ID *l, CK_ULONG *n), (p, l, n))
static CK_RV w_C_GetTokenInfo(CK_SLOT_ID s, CK_TOKEN_INFO *i)
{
    CK_RV r = ctl("C_GetTokenInfo");
    if (!r)
        r = R->C_GetTokenInfo(s, i);
    if (!r)
        i->flags |= added_flags;
    return r;
}

W(C_OpenSession, (CK_SLOT_ID s, CK_FLAGS f, void *a, CK_NOTIFY n, CK_SESSION_HANDLE *h), (s, f, a, n, h))
static CK_RV w_C_Login(CK_SESSION_HANDLE h, CK_USER_TYPE t, unsigned char *p, unsigned long n)
{
    CK_RV r = ctl("C_Login");
    char *pad = getenv("P11_PAD");
    if (r)
        return r;
    if (!p && pad)
        return R->C_Login(h, t, (unsigned char *)pad, strlen(pad));
    return R->C_Login(h, t, p, n);
}
W(C_FindObjectsInit, (CK_SESSION_HANDLE h, CK_ATTRIBUTE *t, unsigned long n), (h, t, n))
W(C_SignInit, (CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE k), (h, m, k))
static CK_RV w_C_Sign(CK_SESSION_HANDLE h, unsigned char *d, unsigned long n, unsigned char *s, unsigned long *l)
{
    CK_RV r = ctl("C_Sign"), done;
    if (r && r != 0x5eed)
        return r;
    done = R->C_Sign(h, d, n, s, l);
    if (r && !done && s)
        s[*l / 2] ^= 1;
    return done;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **o)
{
    if (!R) {
        const char *real = getenv("P11_REAL");
        void *h = real ? dlopen(real, RTLD_NOW | RTLD_LOCAL) : NULL;
        CK_RV (*g)(CK_FUNCTION_LIST **);
        CK_RV r;
        if (!h) {
            fprintf(stderr, "p11fault: %s\n", real ? dlerror() : "P11_REAL is not set");
            return CKR_GENERAL_ERROR;
        }
        g = dlsym(h, "C_GetFunctionList");
        if (!g)
            return CKR_GENERAL_ERROR;
        r = g(&R);
        if (r)
            return r;
        F = *R;
        F.C_GetFunctionList = C_GetFunctionList;
#define S(n) F.n = w_##n
        S(C_Initialize); S(C_GetSlotList); S(C_GetTokenInfo); S(C_OpenSession);
        S(C_Login); S(C_FindObjectsInit); S(C_SignInit); S(C_Sign);
        S(C_Finalize); S(C_GetInfo); S(C_GetSlotInfo); S(C_CloseSession); S(C_CloseAllSessions); S(C_Logout);
        S(C_FindObjects); S(C_FindObjectsFinal); S(C_GetAttributeValue);
    }
    *o = &F;
    return CKR_OK;
}
