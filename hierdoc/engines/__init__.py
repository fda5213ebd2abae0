"""The engines by name: each is a function of an encoder and a precision that returns `encode`.

`encode(token_ids int32 (N, T), mask bool (N, T))` returns the vectors, float32 (N, D).
"""

from hierdoc.engines.tensorflow import build_engine

ENGINES = {"tensorflow": build_engine}
