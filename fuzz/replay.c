/* Gives each file of the command line to a fuzzer's target, once: what the corpus holds is then tried where there is no
 * libFuzzer, as under an emulator of another machine.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_BYTES_MAX (1 << 20) /* of one file: inputs of the corpus have a few hundred */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int count, char **names) {
    static uint8_t input[INPUT_BYTES_MAX];
    if (count < 2) {
        fputs("replay: no inputs\n", stderr);
        return 2;
    }
    for (int number = 1; number < count; number++) {
        FILE *file = fopen(names[number], "rb");
        if (!file) {
            perror(names[number]);
            return 1;
        }
        size_t size = fread(input, 1, sizeof input, file);
        fclose(file);
        LLVMFuzzerTestOneInput(input, size);
    }
    printf("%d inputs\n", count - 1);
    return 0;
}
