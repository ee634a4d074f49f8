/* G.722 at 64 kbit/s as spandsp does it, for comparison.
 *
 * Usage: spandsp_g722 encode|decode, samples (16 bit, this machine's byte order) and codes on
 * standard input and output.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <spandsp.h>

#define PIECE 1600

int main(int argc, char **argv)
{
    int16_t samples[2 * PIECE];
    uint8_t codes[PIECE];
    size_t count;

    if (argc == 2 && strcmp(argv[1], "encode") == 0) {
        g722_encode_state_t *state = g722_encode_init(NULL, 64000, 0);
        while ((count = fread(samples, sizeof(int16_t), 2 * PIECE, stdin)) > 0) {
            int made = g722_encode(state, codes, samples, (int) count);
            fwrite(codes, 1, (size_t) made, stdout);
        }
        g722_encode_free(state);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "decode") == 0) {
        g722_decode_state_t *state = g722_decode_init(NULL, 64000, 0);
        while ((count = fread(codes, 1, PIECE, stdin)) > 0) {
            int made = g722_decode(state, samples, codes, (int) count);
            fwrite(samples, sizeof(int16_t), (size_t) made, stdout);
        }
        g722_decode_free(state);
        return 0;
    }
    fprintf(stderr, "usage: spandsp_g722 encode|decode\n");
    return 2;
}
