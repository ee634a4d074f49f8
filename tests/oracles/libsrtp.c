/*
 * libsrtp behind a pipe: a second opinion on every packet that we protect or take.
 *
 *   libsrtp protect|unprotect SUITE KEY-AND-SALT-IN-HEX [MKI-IN-HEX]
 *
 * Reads packets from stdin: a byte 'p' (RTP) or 'c' (RTCP), two bytes of length, high one first, and
 * the packet. Answers each on stdout: a byte of status, zero if it is good (srtp_err_status_t), two
 * bytes of length and the packet as it is then, empty if it is not good. Ends with stdin.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <srtp2/srtp.h>

enum { LONGEST = 4096 };

static void die(const char *why)
{
    fprintf(stderr, "libsrtp: %s\n", why);
    exit(2);
}

static size_t from_hex(const char *text, uint8_t *out, size_t room)
{
    size_t len = strlen(text) / 2;
    if (len > room)
        die("too long in hex");
    for (size_t i = 0; i < len; i++) {
        unsigned int byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            die("not hex");
        out[i] = (uint8_t)byte;
    }
    return len;
}

/* Tags of RTCP have 80 bits also where those of RTP have 32. */
static void choose_suite(const char *name, srtp_policy_t *policy)
{
    if (!strcmp(name, "AES_CM_128_HMAC_SHA1_80")) {
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy->rtp);
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy->rtcp);
    } else if (!strcmp(name, "AES_CM_128_HMAC_SHA1_32")) {
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy->rtp);
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy->rtcp);
    } else if (!strcmp(name, "AES_256_CM_HMAC_SHA1_80")) {
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy->rtp);
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy->rtcp);
    } else if (!strcmp(name, "AES_256_CM_HMAC_SHA1_32")) {
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32(&policy->rtp);
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy->rtcp);
    } else if (!strcmp(name, "AEAD_AES_128_GCM")) {
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy->rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy->rtcp);
    } else if (!strcmp(name, "AEAD_AES_256_GCM")) {
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy->rtp);
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy->rtcp);
    } else {
        die("unknown suite");
    }
}

static srtp_err_status_t work(srtp_t session, int protect, int kind, int mki, uint8_t *packet,
                              int *len)
{
    if (kind == 'p')
        return protect ? srtp_protect_mki(session, packet, len, mki, 0)
                       : srtp_unprotect_mki(session, packet, len, mki);
    return protect ? srtp_protect_rtcp_mki(session, packet, len, mki, 0)
                   : srtp_unprotect_rtcp_mki(session, packet, len, mki);
}

int main(int argc, char **argv)
{
    static uint8_t key_bytes[SRTP_MAX_KEY_LEN], mki_bytes[SRTP_MAX_MKI_LEN];
    static uint8_t packet[LONGEST + SRTP_MAX_TRAILER_LEN + SRTP_MAX_MKI_LEN];
    srtp_policy_t policy;
    srtp_master_key_t key, *keys[1] = { &key };
    srtp_t session;
    uint8_t head[3];

    if (argc != 4 && argc != 5)
        die("two or three arguments after protect or unprotect");
    int protect = !strcmp(argv[1], "protect");
    memset(&policy, 0, sizeof policy);
    memset(&key, 0, sizeof key);
    choose_suite(argv[2], &policy);
    from_hex(argv[3], key_bytes, sizeof key_bytes);
    key.key = key_bytes;
    if (argc == 5) {
        key.mki_id = mki_bytes;
        key.mki_size = from_hex(argv[4], mki_bytes, sizeof mki_bytes);
    }
    policy.keys = keys;
    policy.num_master_keys = 1;
    policy.ssrc.type = protect ? ssrc_any_outbound : ssrc_any_inbound;
    policy.window_size = 128;
    if (srtp_init() != srtp_err_status_ok)
        die("cannot begin");
    if (srtp_create(&session, &policy) != srtp_err_status_ok)
        die("refuses the policy: it may be built without GCM");

    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        int len = head[1] << 8 | head[2];
        if (len > LONGEST || fread(packet, 1, (size_t)len, stdin) != (size_t)len)
            die("a packet ends early");
        srtp_err_status_t status = work(session, protect, head[0], argc == 5, packet, &len);
        if (status != srtp_err_status_ok)
            len = 0;
        uint8_t answer[3] = { (uint8_t)status, (uint8_t)(len >> 8), (uint8_t)len };
        fwrite(answer, 1, sizeof answer, stdout);
        fwrite(packet, 1, (size_t)len, stdout);
        fflush(stdout);
    }
    return 0;
}
