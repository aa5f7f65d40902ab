"""The NYU classifiers by their formulas: numpy, float64, published names, no speed.

What our networks are held to. Nothing here is shared with the package; a state is a mapping from
published names to arrays.
"""

from collections.abc import Iterator, Mapping

import numpy as np

State = Mapping[str, np.ndarray]
BN_EPS = 1e-5
RESNET22 = (16, 32, 64, 128, 256)
RESNET18 = (64, 128, 256, 512)


def conv(x: np.ndarray, weight: np.ndarray, *, stride: int = 1, padding: int = 0) -> np.ndarray:
    """channel row col -> out row col, a kernel place at a time."""
    size = weight.shape[2]
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    rows, cols = ((n - size) // stride + 1 for n in x.shape[1:])
    out = np.zeros((len(weight), rows, cols))
    for i in range(size):
        for j in range(size):
            seen = x[:, i : i + stride * rows : stride, j : j + stride * cols : stride]
            out += np.einsum("oc,cyx->oyx", weight[:, :, i, j], seen[:, :rows, :cols])
    return out


def max_pool(x: np.ndarray, *, padding: int) -> np.ndarray:
    """3 x 3, stride 2."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
    rows, cols = ((n - 3) // 2 + 1 for n in x.shape[1:])
    return np.array(
        [
            [x[:, 2 * y : 2 * y + 3, 2 * c : 2 * c + 3].max(axis=(1, 2)) for c in range(cols)]
            for y in range(rows)
        ]
    ).transpose(2, 0, 1)


def norm(x: np.ndarray, state: State, name: str) -> np.ndarray:
    scale = state[f"{name}.weight"] / np.sqrt(state[f"{name}.running_var"] + BN_EPS)
    shift = state[f"{name}.bias"] - state[f"{name}.running_mean"] * scale
    return x * scale[:, None, None] + shift[:, None, None]


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def standardised(image: np.ndarray) -> np.ndarray:
    image = image.astype(np.float64)
    return (image - image.mean()) / max(np.sqrt(((image - image.mean()) ** 2).mean()), 1e-5)


def resnet22_levels(
    state: State, name: str, x: np.ndarray, *, padding: int, strides: tuple[int, ...]
) -> list[np.ndarray]:
    """What each stage gives; the last entry is the final normalised and rectified map."""
    x = max_pool(conv(x, state[f"{name}.first_conv.weight"], stride=2, padding=padding), padding=0)
    levels = []
    for stage, stride in enumerate(strides):
        for block in range(2):
            at = f"{name}.layer_list.{stage}.{block}"
            step = stride if block == 0 else 1
            active = relu(norm(x, state, f"{at}.bn1"))
            kept = x
            if block == 0:
                kept = conv(active, state[f"{at}.downsample.0.weight"], stride=step)
            out = conv(active, state[f"{at}.conv1.weight"], stride=step, padding=1)
            out = relu(norm(out, state, f"{at}.bn2"))
            x = conv(out, state[f"{at}.conv2.weight"], padding=1) + kept
        levels.append(x)
    return [*levels, relu(norm(x, state, f"{name}.final_bn"))]


def resnet_v1(
    state: State, name: str, patch: np.ndarray, *, depths: tuple[int, ...], strides: tuple[int, ...]
) -> np.ndarray:
    x = np.repeat(patch[None], 3, axis=0)
    x = relu(
        norm(conv(x, state[f"{name}.conv1.weight"], stride=2, padding=3), state, f"{name}.bn1")
    )
    x = max_pool(x, padding=1)
    for stage, (depth, stride) in enumerate(zip(depths, strides, strict=True), start=1):
        for block in range(depth):
            at = f"{name}.layer{stage}.{block}"
            step = stride if block == 0 else 1
            out = conv(x, state[f"{at}.conv1.weight"], stride=step, padding=1)
            out = relu(norm(out, state, f"{at}.bn1"))
            out = norm(conv(out, state[f"{at}.conv2.weight"], padding=1), state, f"{at}.bn2")
            if f"{at}.downsample.0.weight" in state:
                x = conv(x, state[f"{at}.downsample.0.weight"], stride=step)
                x = norm(x, state, f"{at}.downsample.1")
            x = relu(out + x)
    return x


def top_mean(grid: np.ndarray, part: float) -> float:
    highest = sorted(grid.flatten().tolist(), reverse=True)
    return float(np.mean(highest[: max(1, round(len(highest) * part))]))


def chosen_windows(
    maps: np.ndarray, window: tuple[int, int], count: int
) -> Iterator[tuple[int, int]]:
    """Each map from 0 to 1, added; then the window with the highest mean, which is set to 0."""
    total = sum((m - m.min()) / (m.max() - m.min()) for m in maps)
    for _ in range(count):
        best, place = -1.0, (0, 0)
        for row in range(total.shape[0] - window[0] + 1):
            for col in range(total.shape[1] - window[1] + 1):
                mean = total[row : row + window[0], col : col + window[1]].mean()
                if mean > best:
                    best, place = mean, (row, col)
        row, col = place
        total[row : row + window[0], col : col + window[1]] = 0
        yield place


def gmic(
    state: State,
    image: np.ndarray,
    *,
    strides: tuple[int, ...] = (1, 2, 2, 2, 2),
    depths: tuple[int, ...] = (2, 2, 2, 2),
    num_patches: int,
    patch: int,
) -> dict[str, np.ndarray]:
    """Everything that GMIC says of one image; classes benign, malignant."""
    x = standardised(image)
    features = resnet22_levels(state, "ds_net", x[None], padding=3, strides=strides)[-1]
    saliency = sigmoid(conv(features, state["left_postprocess_net.gn_conv_last.weight"]))
    grid = saliency.shape[1:]
    window = tuple(round(patch * g / n) for g, n in zip(grid, image.shape, strict=True))
    corners, codes = [], []
    for row, col in chosen_windows(saliency, window, num_patches):
        top = round(row / grid[0] * image.shape[0])
        left = round(col / grid[1] * image.shape[1])
        corners.append((top, left))
        cut = x[top : top + patch, left : left + patch]
        filled = np.full((patch, patch), x.min())
        filled[patch - cut.shape[0] :, patch - cut.shape[1] :] = cut
        codes.append(
            resnet_v1(state, "dn_resnet", filled, depths=depths, strides=(1, 2, 2, 2)).mean(
                axis=(1, 2)
            )
        )
    gated = [
        sigmoid(state["mil_attn_U.weight"] @ h) * np.tanh(state["mil_attn_V.weight"] @ h)
        for h in codes
    ]
    logits = [float((state["mil_attn_w.weight"] @ g)[0]) for g in gated]
    attention = softmax(np.array(logits))
    z = sum(a * h for a, h in zip(attention, codes, strict=True))
    fused = np.concatenate([features.max(axis=(1, 2)), z])
    return {
        "saliency": saliency,
        "corners": np.array(corners),
        "attention": attention,
        "local": sigmoid(state["classifier_linear.weight"] @ z),
        "fusion": sigmoid(state["fusion_dnn.weight"] @ fused + state["fusion_dnn.bias"]),
    }


def norm_shapes(name: str, width: int) -> dict[str, tuple[int, ...]]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (width,) for part in parts} | {f"{name}.num_batches_tracked": ()}


def resnet22_shapes(
    name: str, widths: tuple[int, ...] = RESNET22, channels: int = 1
) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {f"{name}.first_conv.weight": (widths[0], channels, 7, 7)}
    before = widths[0]
    for stage, width in enumerate(widths):
        for block in range(2):
            at = f"{name}.layer_list.{stage}.{block}"
            shapes |= norm_shapes(f"{at}.bn1", before) | norm_shapes(f"{at}.bn2", width)
            shapes[f"{at}.conv1.weight"] = (width, before, 3, 3)
            shapes[f"{at}.conv2.weight"] = (width, width, 3, 3)
            if block == 0:
                shapes[f"{at}.downsample.0.weight"] = (width, before, 1, 1)
            before = width
    return shapes | norm_shapes(f"{name}.final_bn", widths[-1])


def resnet_v1_shapes(
    name: str,
    widths: tuple[int, ...] = RESNET18,
    depths: tuple[int, ...] = (2, 2, 2, 2),
    strides: tuple[int, ...] = (1, 2, 2, 2),
) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {f"{name}.conv1.weight": (widths[0], 3, 7, 7)}
    shapes |= norm_shapes(f"{name}.bn1", widths[0])
    before = widths[0]
    plan = zip(widths, depths, strides, strict=True)
    for stage, (width, depth, stride) in enumerate(plan, start=1):
        for block in range(depth):
            at = f"{name}.layer{stage}.{block}"
            shapes[f"{at}.conv1.weight"] = (width, before, 3, 3)
            shapes[f"{at}.conv2.weight"] = (width, width, 3, 3)
            shapes |= norm_shapes(f"{at}.bn1", width) | norm_shapes(f"{at}.bn2", width)
            if before != width or (block == 0 and stride != 1):
                shapes[f"{at}.downsample.0.weight"] = (width, before, 1, 1)
                shapes |= norm_shapes(f"{at}.downsample.1", width)
            before = width
    return shapes


def gmic_shapes(
    widths: tuple[int, ...] = RESNET22,
    local: tuple[int, ...] = RESNET18,
    depths: tuple[int, ...] = (2, 2, 2, 2),
    attention: int = 128,
) -> dict[str, tuple[int, ...]]:
    return {
        **resnet22_shapes("ds_net", widths),
        "left_postprocess_net.gn_conv_last.weight": (2, widths[-1], 1, 1),
        **resnet_v1_shapes("dn_resnet", local, depths),
        "mil_attn_V.weight": (attention, local[-1]),
        "mil_attn_U.weight": (attention, local[-1]),
        "mil_attn_w.weight": (1, attention),
        "classifier_linear.weight": (2, local[-1]),
        "fusion_dnn.weight": (2, widths[-1] + local[-1]),
        "fusion_dnn.bias": (2,),
    }


def filled(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, np.ndarray]:
    """float32 values by a rule: all layers pass their input on, norms are no identities."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = np.array(7, dtype=np.int64)
        elif name.endswith("running_var"):
            state[name] = rng.uniform(0.5, 2.0, shape).astype(np.float32)
        elif len(shape) == 1:
            low = 0.5 if name.endswith("weight") else -0.5
            state[name] = rng.uniform(low, low + 1.0, shape).astype(np.float32)
        else:
            fan = int(np.prod(shape[1:]))
            state[name] = (rng.standard_normal(shape) * np.sqrt(2 / fan)).astype(np.float32)
    return state


def in_float64(state: State) -> dict[str, np.ndarray]:
    return {name: value.astype(np.float64) for name, value in state.items()}


def relu_mean(state: State, name: str, x: np.ndarray, strides: tuple[int, ...]) -> np.ndarray:
    """The code of an image in DMV-CNN: a first convolution without padding, mean over cells."""
    return resnet22_levels(state, name, x, padding=0, strides=strides)[-1].mean(axis=(1, 2))


def dmv_head(state: State, view: str, h: np.ndarray) -> np.ndarray:
    """Probability of yes of the four rows."""
    hidden = relu(state[f"fc1_{view}.weight"] @ h + state[f"fc1_{view}.bias"])
    name = f"output_layer_{view}.fc_layer"
    rows = (state[f"{name}.weight"] @ hidden + state[f"{name}.bias"]).reshape(-1, 2)
    return softmax(rows)[:, 1]


def dmv_views(
    state: State, windows: Mapping[str, np.ndarray], strides: tuple[int, ...]
) -> dict[str, float]:
    """Windows of L-CC, R-CC, L-MLO, R-MLO (channel row col) to the four probabilities."""
    total = np.zeros(4)
    for view in ("cc", "mlo"):
        codes = [
            relu_mean(state, f"four_view_resnet.{view}", windows[f"{side}-{view.upper()}"], strides)
            for side in "LR"
        ]
        total += dmv_head(state, view, np.concatenate(codes)) / 2
    names = ("left_benign", "right_benign", "left_malignant", "right_malignant")
    return dict(zip(names, total.tolist(), strict=True))


def dmv_shapes(
    widths: tuple[int, ...] = RESNET22, channels: int = 1, heads: Mapping[str, int] | None = None
) -> dict[str, tuple[int, ...]]:
    """View-wise by default; ``heads`` gives each head's name and how many codes it joins."""
    shapes: dict[str, tuple[int, ...]] = {}
    for view in ("cc", "mlo"):
        shapes |= resnet22_shapes(f"four_view_resnet.{view}", widths, channels)
    for name, joined in (heads or {"cc": 2, "mlo": 2}).items():
        dim = joined * widths[-1]
        shapes[f"fc1_{name}.weight"], shapes[f"fc1_{name}.bias"] = (dim, dim), (dim,)
        shapes[f"output_layer_{name}.fc_layer.weight"] = (8, dim)
        shapes[f"output_layer_{name}.fc_layer.bias"] = (8,)
    return shapes


def densenet(state: State, patch: np.ndarray, blocks: tuple[int, ...]) -> np.ndarray:
    """Probabilities of the kinds of a patch; first layers padded as TensorFlow does."""
    x = np.repeat(patch[None], 3, axis=0)
    x = conv(_same(x, 7), state["features.conv0.weight"], stride=2)
    x = max_pool(_same(relu(norm(x, state, "features.norm0")), 3), padding=0)
    for block, layers in enumerate(blocks, start=1):
        for layer in range(1, layers + 1):
            at = f"features.denseblock{block}.denselayer{layer}"
            out = conv(relu(norm(x, state, f"{at}.norm1")), state[f"{at}.conv1.weight"])
            out = relu(norm(out, state, f"{at}.norm2"))
            x = np.concatenate([x, conv(out, state[f"{at}.conv2.weight"], padding=1)])
        if block < len(blocks):
            at = f"features.transition{block}"
            x = conv(relu(norm(x, state, f"{at}.norm")), state[f"{at}.conv.weight"])
            rows, cols = (n // 2 for n in x.shape[1:])
            cells = x[:, : 2 * rows, : 2 * cols].reshape(len(x), rows, 2, cols, 2)
            x = cells.mean(axis=(2, 4))
    h = relu(norm(x, state, "features.norm5")).mean(axis=(1, 2))
    return softmax(state["classifier.weight"] @ h + state["classifier.bias"])


def _same(x: np.ndarray, size: int) -> np.ndarray:
    """For stride 2: ceil(n / 2) outputs; of an odd number of zeros the last is below and right."""
    pads = [(0, 0)]
    for n in x.shape[1:]:
        total = max((int(np.ceil(n / 2)) - 1) * 2 + size - n, 0)
        pads.append((total // 2, total - total // 2))
    return np.pad(x, pads)


def nyu_glam(
    state: State, image: np.ndarray, *, strides: tuple[int, ...], top: float, patch: int
) -> dict[str, np.ndarray]:
    """Scores, where the close look is, its map, and the final maps; classes as in the state."""
    x = standardised(image)
    levels = resnet22_levels(state, "global", x[None], padding=3, strides=strides)
    levels = [*levels[-4:-2], levels[-1]]  # two raw stages, and the last one normalised
    raw = [conv(f, state[f"level.{i}.weight"]) for i, f in enumerate(levels)]
    maps = [sigmoid(nearest(m, raw[0].shape[1:])) for m in raw]
    mixed = 0.2 * maps[2] + 0.6 * maps[1] + 0.2 * maps[0]
    grid = mixed.shape[1:]
    window = tuple(round(patch * g / n) for g, n in zip(grid, image.shape, strict=True))
    ((row, col),) = chosen_windows(mixed, window, 1)
    top_px, left = (round(c / g * n) for c, g, n in zip((row, col), grid, image.shape, strict=True))
    cut = x[top_px : top_px + patch, left : left + patch]
    features = resnet_v1(state, "local", cut, depths=(1, 1, 1, 1), strides=(1, 1, 1, 1))
    local = sigmoid(conv(features, state["close.weight"]))
    final = nearest(mixed, image.shape) / 2
    final[:, top_px : top_px + patch, left : left + patch] += nearest(local, (patch, patch)) / 2
    return {
        "scores": np.array([np.mean([top_mean(m[c], top) for m in maps]) for c in (0, 1)]),
        "corner": np.array([top_px, left]),
        "local": local,
        "final": final,
    }


def nearest(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    rows = [int(y * maps.shape[1] / size[0]) for y in range(size[0])]
    cols = [int(x * maps.shape[2] / size[1]) for x in range(size[1])]
    return maps[:, rows][:, :, cols]
