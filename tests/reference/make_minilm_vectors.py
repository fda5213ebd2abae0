"""Make minilm_vectors.json: Hugging Face's [CLS] vectors for hand-typed token ids, the oracle of law 5.

Run once in an environment of its own (the project never installs PyTorch):

    pip install torch transformers
    python tests/reference/make_minilm_vectors.py FOLDER_OF_all-MiniLM-L6-v2 > tests/reference/minilm_vectors.json
"""

import json
import sys

import torch
import transformers

# 30522-word English uncased vocabulary: [CLS] 101, [SEP] 102; real rows are shorter than the padded batch.
ROWS = [
    [101, 102],
    [101, 2023, 2003, 1037, 2146, 6254, 1012, 102],
    [101, 7592, 102],
    [101] + [2000 + 13 * i for i in range(60)] + [102],
    [101] + [1996 + 97 * i % 20000 for i in range(198)] + [102],
]

model = transformers.BertModel.from_pretrained(sys.argv[1], add_pooling_layer=False, attn_implementation="eager").eval()
longest = max(len(row) for row in ROWS)
token_ids = torch.tensor([row + [0] * (longest - len(row)) for row in ROWS])
mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ROWS])
with torch.no_grad():
    vectors = model(input_ids=token_ids, attention_mask=mask).last_hidden_state[:, 0]
json.dump(
    {
        "made_with": {"torch": torch.__version__, "transformers": transformers.__version__},
        "token_ids": ROWS,
        "vectors": [[float(f"{value:.9g}") for value in row] for row in vectors.tolist()],
    },
    sys.stdout,
)
