"""The encoders by name: each is a function of a configuration that returns a model.

A model called with `token_ids` int32 (N, T), `mask` bool (N, T), `dropout_seed` and `shift` (see `bert.BertEncoder`) returns float32 (N, D);
it has `dim`, `config`, `variables`, `trainable()`, `depths()`, `hidden_of()`, `vectors_of()`, `arrays()` and `assign()` as that has.
"""

from hierdoc.encoders.bert import build_bert

ENCODERS = {"bert": build_bert}
