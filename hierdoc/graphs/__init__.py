"""Trained models as serialised ONNX graphs.

`ENCODER_GRAPHS`, by the encoder's name: functions of its configuration and its weights. `DELICATE_NODES`, likewise: functions of
its configuration that return regular expressions, of the names of nodes that 8-bit integers leave out. `HEAD_GRAPHS`, by the head's name:
functions of D, the number of classes, its weights, and where they are from; a head without one runs in TensorFlow.
"""

from hierdoc.graphs.bert import bert_delicate_nodes, bert_graph
from hierdoc.graphs.pooling import attention_graph, max_pool_graph, mean_pool_graph, mean_probs_graph, textcnn_graph
from hierdoc.graphs.recurrent import gru_graph, lstm_graph

ENCODER_GRAPHS = {"bert": bert_graph}
DELICATE_NODES = {"bert": bert_delicate_nodes}
HEAD_GRAPHS = {
    "lstm": lstm_graph,
    "gru": gru_graph,
    "attention": attention_graph,
    "textcnn": textcnn_graph,
    "mean_pool": mean_pool_graph,
    "max_pool": max_pool_graph,
    "mean_probs": mean_probs_graph,
}
