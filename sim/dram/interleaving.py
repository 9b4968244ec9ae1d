"""How a contiguous piece of a chip's address space lies in its channels and their rows.

Channels take turns every `interleave` bytes. A piece of s bytes whose place is a multiple of g bytes touches
1 + (s − g)/interleave channels on average, g being the largest power of two that divides both. So a channel
finds in a row

    s / (1 + (s − g)/interleave)      of a piece that does not reach all channels
    s / channels                      of one that does: turns that follow one another are contiguous there
"""

import math


def contiguous_in_channel(size: float, interleave: float, channels: int) -> float:
    """Bytes of a contiguous piece of `size` bytes that one of `channels` channels finds in a row."""
    if size <= 0:
        return 0.0
    if size >= interleave * channels:
        return size / channels
    whole = max(1, round(size)) | max(1, round(interleave))
    placed = min(float(whole & -whole), size)
    return size / (1.0 + (size - placed) / interleave)


def row_piece_lines(row_piece: float, line: int, row: int) -> int:
    """Lines of a row that stay together: the nearest power of two within the row."""
    lines = 1 << round(math.log2(max(1.0, row_piece / line)))
    return min(lines, row // line)
