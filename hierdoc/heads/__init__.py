"""The heads by name: each is a function of D and the number of classes C that returns a tf-keras model.

The model takes (vectors float32 (B, S, D), mask bool (B, S)) and gives logits float32 (B, C). To add a head, write its
`build_…` in a file of this folder and name it here: training, evaluation, prediction and the contract test follow.
"""

from hierdoc.heads.lstm import build_lstm

HEADS = {"lstm": build_lstm}
