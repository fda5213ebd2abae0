"""What a model says of a batch, as probabilities, whatever form it puts them out in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hierdoc.tracing.batches import split_inputs

ROWS_AT_ONCE = 32


def to_probs(outputs: Any) -> np.ndarray:
    """Return probabilities, float32 (B, C), of what a model puts out: (B, C), or (B, 1) for the second of two classes.

    Rows that do not sum to 1 are logits and go through softmax, single numbers outside 0 to 1 through the logistic function.
    Where all of them lie between 0 and 1 they are no logits, but some other function's (sigmoids), and stay as they are.
    """
    array = np.asarray(outputs, np.float64)
    array = array.reshape(len(array), -1)
    if array.shape[1] == 1:
        known = array[np.isfinite(array)]
        second = array if ((known >= 0) & (known <= 1)).all() else 1 / (1 + np.exp(-np.clip(array, -500, 500)))
        return np.hstack([1 - second, second]).astype(np.float32)
    known = array[np.isfinite(array).all(axis=1)]
    sums_to_1 = np.allclose(known.sum(axis=1), 1, atol=1e-2)  # of bfloat16's, say
    if (known >= 0).all() and (sums_to_1 or ((known <= 1).all() and known.any())):
        return array.astype(np.float32)
    with np.errstate(invalid="ignore"):  # inf - inf is what the model has earned
        raised = np.exp(array - array.max(axis=1, keepdims=True))
        return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def first_output(outputs: Any) -> np.ndarray:
    """Return a model's output as an array, the first one where it has several."""
    if isinstance(outputs, dict):
        outputs = next(iter(outputs.values()))
    return np.asarray(outputs[0] if isinstance(outputs, (list, tuple)) else outputs)


def outputs_of(predict: Callable[[Any], Any], inputs: Any) -> np.ndarray:
    """Return what a model puts out, (B, …) as (B, any), for a batch's x; so many rows at once as do no harm."""
    num = len(np.asarray(split_inputs(inputs)[0]))
    parts = [cut_rows(inputs, at, min(at + ROWS_AT_ONCE, num)) for at in range(0, num, ROWS_AT_ONCE)]
    outputs = [first_output(predict(part)) for part in parts]
    return np.concatenate([output.reshape(len(output), -1) for output in outputs])


def cut_rows(inputs: Any, begin: int, end: int) -> Any:
    """Return the x of some of a batch's rows."""
    return each_array(inputs, lambda array, is_main, is_mask: np.asarray(array)[begin:end])


def each_array(inputs: Any, change: Callable[[Any, bool, bool], Any]) -> Any:
    """Return a batch's x with each of its arrays changed; `change` is told whether it is the main one, or the mask."""
    main, mask = split_inputs(inputs)

    def apply(array: Any) -> Any:
        return change(array, array is main, array is mask)

    if isinstance(inputs, dict):
        return {name: apply(array) for name, array in inputs.items()}
    return [apply(array) for array in inputs] if isinstance(inputs, (list, tuple)) else apply(inputs)
