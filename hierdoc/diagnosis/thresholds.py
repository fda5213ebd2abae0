"""Every limit of the doctor's, each with its reason; docs/doctor.md is made from them.

Two kinds: how sure a test must be, and how large an effect must be to be worth a word. A finding needs both, unless it
is an identity (a hash, an id, a number that is no number), which needs neither.
"""

from __future__ import annotations

SIGNIFICANT = 1e-4  # of each test: some twenty tests on each of some hundred healthy runs give less than one false word
AT_CHANCE = 0.01  # an accuracy whose chance of coming from guessing is above this is not told apart from guessing
LABELS_AT_CHANCE = 0.2  # of the way from guessing to 1; a symptom and no cause, as hard labels come no further either
SURE_Z = 5.0  # standard deviations: far beyond 1e-4, because the spread is estimated from a few hundred permutations
NUM_PERMUTATIONS = 200  # for that spread: it is then known to 5 %

# Labels
SOME_DOCUMENTS = 0.02  # of the documents: below it, a fault of single documents can't keep a model at chance
CONSISTENT = 0.98  # of the documents: labels that follow one table of renaming so often were renamed, not shuffled
LACKING = 0.3  # of the training examples are of classes that nothing held out has: less is a rare class or two
UNSEEN_SHARE = 0.05  # of held-out documents: those of classes without training documents cost as much accuracy
SAME_INPUT_BOUND = 0.9  # the best accuracy that equal inputs with several labels leave; healthy copies leave more
SAME_CHUNK_BOUND = 0.5  # likewise of chunks whose documents are not known: a letterhead on short documents leaves more
RENAMED_RIGHT = 0.7  # of the way from 1/C to what the chunk model or the vectors give: where a true renaming leads
PAIRING_GAP = 0.1  # below the chunk model's held-out accuracy: on training vectors it should be above it, not below
READING_GAP = 0.05  # below training's own last reading, which is a running mean with dropout, and so rather too low
OTHER_CLASSES = 0.2  # of the wrong classes of stored vectors stray from the labels' frequencies: another encoder's
OTHER_CLASSES_Z = 3.0  # standard deviations of their chi-square; it only decides which of three causes is named
PAIRING_HALF = 0.5  # of the way from chance to the chunk model's accuracy: a probe of sound pairs goes further
PROBE_PER_CLASS = 8  # documents of a class: with fewer, a probe in 16 dimensions fails on sound pairs as well
GOOD_CHUNKS = 0.2  # of the way from chance to 1: a chunk model must be so good before its vectors prove anything

IN_SAMPLE = 0.2  # of accuracy: so much better the chunk model is on chunks it has seen; 0.1 to 0.2 is usual

# Vectors
HUGE_NORM = 1e3  # of a vector: [CLS] vectors have 5 to 30, and an LSTM's gates are saturated long before 1,000
TINY_NORM = 1e-3  # of a vector: a head that starts from weights of 0.05 sees nothing in it
CONSTANT_SPREAD = 1e-5  # of the vectors' size: float32 has 7 digits, so that what differs below the fifth is rounding
SAME_VECTOR_SHARE = 0.3  # of the vectors of either side; equal texts of a healthy corpus are fewer
AS_MANY = 0.8  # of that share of the chunks are equal texts: the vectors of a letterhead are equal for that reason
SEPARATE = 0.97  # of the vectors have their nearest neighbour on their own side; half if alike, 0.85 if by heart
LONELY_REGION = 0.05  # of training's vectors: a region that holds fewer may be a few odd documents
LONELY = 0.2  # of that share: so rare held-out vectors are there; where chunks were learned by heart, half
OTHER_ANSWERS = 0.05  # of the held-out chunks get another class by their stored vectors: rounding changes fewer
MANY_OTHER_ANSWERS = 0.15  # of them: scaling all vectors to one length, which does no harm, changes half as many
ROUNDED_ANSWERS = 0.01  # of them may do so by rounding, as bfloat16 does
OUTSIDE = 0.9  # of the held-out vectors are longer, or shorter, than 98 % of training's
OTHER_LENGTH = 2.0  # times as long, or as short, is the middle one of them then; 1.4 where chunks were learned by heart
FEWEST_TO_COMPARE = 20  # documents on each side before two sets of vectors are compared
SAME_BUT_CHANGED = 0.9  # correlation of distances: scaled, standardised or rounded vectors keep them; others do not

# Grouping
ANY_FOREIGN = 0.01  # of the vectors used: identities are exact, so that this only forgives a file noted twice
LEFT_OUT = 0.02  # of the chunks made: below it, what is missing is noted and not accused
OUT_OF_ORDER = 0.02  # of the documents that have an order (two distinct chunks and more)
MERGED = 0.02  # of the documents
DROPPED = 0.5  # of the chunks of a run: --max-chunks is somebody's choice, and a cause only where most text is gone

# Order
SORTED = 0.2  # of the way from what shuffling gives to "each batch and its next hold one class"
NEVER_SEEN = 0.05  # of the documents: a last batch that is dropped is less
REPEATED = 0.1  # of an epoch's examples come again in it, where they are drawn with replacement: a third do
FEWEST_BATCHES = 8  # in an epoch, before an order can be told from a chance one

# Optimisation
FEWEST_STEPS = 50  # with fewer, a sensible learning rate has not moved the weights either: the training is short
NOT_LEARNED = 0.9  # of the entropy of the training labels: a loss above it is that of knowing their frequencies only
TYPICAL_WEIGHT = 0.02  # BERT's initial standard deviation: arrays of smaller numbers (biases) are measured against it
HALF_LEARNED = 0.5  # of it: a loss above this that is still falling belongs to a training that was ended early
HARDLY_MOVED = 0.01  # of its norm, for the array that moved most: 50 steps of a sensible rate give 0.03 and more
SPENT = 0.01  # of the largest learning rate: steps below it, if they are half of all, train nothing
SLOWLY_MOVED = 0.2  # of their norm, for all arrays of a head together: a rate of 1e-3 comes further in a hundred steps
SLOW_HEAD = 5e-4  # of their norm in a step, likewise: a rate of 1e-3 gives 2e-3, 1e-4 gives 3e-4
SLOW_ENCODER = 5e-6  # likewise for an encoder: a rate of 2e-5 gives 2e-5, 2e-6 gives 2e-6
STILL_FALLING = 0.6  # slope of the second half of the losses against the first's; a training that settles is below
MOVED_FAR = 5.0  # times their norm, for all arrays together, and nothing learned; healthy heads move theirs by 0.2 to 3
ABOVE_FREQUENCIES = 1.05  # times the entropy of the labels: with nothing learned, a steady loss ends at the entropy
MOVED_FAR_LOADED = 0.3  # likewise for an encoder that was loaded; healthy ones move by 0.02
MOVED_FAR_DEEP = 0.15  # likewise for a deep one that was loaded, with nothing learned; healthy ones move by 0.03
DEEP = 30  # trained arrays: two layers of BERT have more
MOVED_TOO_FAR = 10.0  # likewise, whatever was learned
STEADY = 0.05  # of the entropy of the labels: a loss that falls by more in the last third of training is still falling
JUMPED = 1.5  # times the larger of the very first loss and ln C: no sensible training ends there
VANISHED = 0.5  # of the norm that weights had before; training makes norms grow
STILL_SHARE = 0.5  # of the trained numbers without any change; unused arrays (a pooler) are less
SOFTMAX_ROOM = 0.02  # of the bound that a second softmax sets: how near the surest answers come to it
OTHER_LOSS = 3.0  # times ln C, or a third of it, as a loss begins: large vectors give 1.5, quick learning 0.5
LOSS_APART = 0.5  # of that bound's loss: a held-out loss so far below the training loss is another loss
SURE = 0.9  # the middle answer of a model whose loss can't fall is driven above this
AT_THE_BOUND = 0.2  # of the answers stand there; where a bound does not bind, they spread

# Predictions
PROBED = 2e-3  # of a probability: float32 differs by 1e-5, by 1e-4 where a softmax is sharp, float16 by 1e-3
OVER_REPEAT = 3.0  # times what asking again gives: company and padding must differ by more to be blamed
CONSTANT_ANSWER = 0.99  # of the held-out documents get one class
FEWEST_OTHERS = 10  # held-out documents of other classes, before answering the majority class only means something
IMBALANCE = 2.0  # times 1/C: a majority class below that is no imbalance
FAR_BELOW_CHUNKS = 0.2  # below the chunk model's accuracy: a document's answer should be above its chunks'
SHOWN_APART = 0.1  # a shown accuracy nearer than this is of a somewhat other set of documents
FAR_FROM_SHOWN = 0.2  # likewise for a cause; weights put back, and other documents of one kind, make less
ONE_ANSWER = 0.01  # how near it must be to the share of one class's answers to be a count of them
EMPTY_SHARE = 0.2  # of the examples without any token or chunk
UNKNOWN_SHARE = 0.3  # of the tokens [UNK]: `chunk` warns from a twentieth on

# Splits
LEAKED = 0.02  # of the held-out documents are forgiven if they are copies under other ids; corpora have them
NEAR_COPIES = 0.05  # of the held-out documents, likewise: not whole copies, and given splits have them
LEAKED_CHUNKS = 0.2  # of the chunks where documents are not known: forms and headers repeat
FEWEST_LEAKED = 3  # documents that are the same by id: fewer may be a coincidence of ids
FEWEST_PER_CLASS = 4  # documents: with fewer, what they share by chance outweighs their class
FEW_PER_CLASS = 5  # documents of the middle class, where nothing was learned
MEMORISED = 0.2  # of the entropy of the labels: the training loss of a model that knows its examples by heart
