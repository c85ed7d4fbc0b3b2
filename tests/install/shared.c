/* SPDX-License-Identifier: Apache-2.0 */
#include <ftlib_c.h>
#include <stdio.h>
#include <string.h>

#include "compiler.h"

int main(void) {
  const float values[64] = {1.0f, -0.5f};
  unsigned char codes[32];
  float absmax = 0;
  if (ft_abi_version() != FT_ABI_VERSION) return 1;
  if (ft_nf4_quantize(values, FT_F32, 64, 64, codes, &absmax) != FT_OK) return 2;
  if (absmax != 1.0f || codes[0] != 0xf2) return 3;
  if (ft_model_free((ft_model*)values) != FT_ERROR_INVALID_ARGUMENT || !strstr(ft_last_error(), "ft_model")) return 4;
  puts(COMPILER);
  printf("ftlib %s\n", ft_version());
  return 0;
}
