"""The encoders by name: each is a function of a configuration that returns a model.

A model called with `token_ids` int32 (N, T), `mask` bool (N, T) and `training` returns float32 (N, D); it has `dim`,
`config`, `variables`, `trainable()`, `arrays()` and `assign()` as `bert.BertEncoder`.
"""

from hierdoc.encoders.bert import build_bert

ENCODERS = {"bert": build_bert}
