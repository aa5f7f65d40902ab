import math

import torch

from fourview.nn.attention import position_codes


def test_codes_are_sines_and_cosines_of_column_and_row():
    codes = position_codes(torch.zeros(1, 10, 3, 2, dtype=torch.float64))
    for row in range(3):
        for col in range(2):
            want = [
                wave(place * 10_000 ** -(i / 2))
                for place in (col, row)
                for wave in (math.sin, math.cos)
                for i in range(2)
            ]
            got = codes[row * 2 + col].tolist()
            assert torch.allclose(torch.tensor(got), torch.tensor([*want, 0, 0]), atol=1e-7)
