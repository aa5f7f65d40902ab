"""Names of the NYU classifiers' tensors, for families that convert published weights."""


def resnet22_names(prefix: str, ours: str) -> tuple[tuple[str, str], ...]:
    r"""Expressions and replacements for a ResNet-22; see ``contract.PublishedWeights.names``.

    Args:
        prefix: Expression in front of the network's names, with its last dot: ``ds_net\.``.
        ours: Its replacement, with its last dot.
    """
    norm = r"(weight|bias|running_mean|running_var|num_batches_tracked)"
    first = _groups(prefix) + 1  # of the groups below
    block = rf"{prefix}layer_list\.(\d+)\.(\d+)\."
    stage = rf"{ours}stages.\g<{first}>.\g<{first + 1}>."
    third, fourth = first + 2, first + 3
    return (
        (rf"{prefix}first_conv\.weight", rf"{ours}stem.weight"),
        (rf"{block}bn(\d)\.{norm}", rf"{stage}norm\g<{third}>.\g<{fourth}>"),
        (rf"{block}conv(\d)\.weight", rf"{stage}conv\g<{third}>.weight"),
        (rf"{block}downsample\.0\.weight", rf"{stage}shortcut.weight"),
        (rf"{prefix}final_bn\.{norm}", rf"{ours}norm.\g<{first}>"),
    )


def _groups(expression: str) -> int:
    return expression.replace(r"\(", "").replace("(?:", "").count("(")
