/*
 * The digits that spandsp's receiver hears. A second opinion for tests/media_hearing.rs.
 *
 * Standard input holds signals one after the other: the count of samples as 32 bits, then as many
 * samples of 16 bits at 8,000 a second, all in the order of this machine. For each signal a line with
 * its digits is written; it ends where the input does.
 *
 * cc spandsp_dtmf.c -lspandsp
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <spandsp.h>

/* 20 ms, as a call would have it. */
#define FRAME 160

/* Longest answer to one signal. */
#define DIGITS_MAX 127

int main(void)
{
    uint32_t count;

    while (fread(&count, sizeof(count), 1, stdin) == 1) {
        char digits[DIGITS_MAX + 1];
        size_t heard = 0;
        dtmf_rx_state_t *receiver = dtmf_rx_init(NULL, NULL, NULL);

        if (receiver == NULL)
            return EXIT_FAILURE;
        while (count > 0) {
            int16_t frame[FRAME];
            size_t wanted = count < FRAME ? count : FRAME;

            if (fread(frame, sizeof(frame[0]), wanted, stdin) != wanted)
                return EXIT_FAILURE;
            dtmf_rx(receiver, frame, (int) wanted);
            heard += dtmf_rx_get(receiver, digits + heard, (int) (DIGITS_MAX - heard));
            count -= (uint32_t) wanted;
        }
        digits[heard] = '\0';
        puts(digits);
        dtmf_rx_free(receiver);
    }
    return ferror(stdin) || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
