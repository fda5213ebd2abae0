"""Trained models as ONNX graphs, by the encoder's name: functions of its configuration and weights."""

from hierdoc.graphs.bert import bert_graph

GRAPHS = {"bert": bert_graph}
