"""What each finding's code looks at, from where on it speaks, and the mend; docs/doctor.md is made from this.

Limits are named in `hierdoc.diagnosis.thresholds`, with their reasons.
"""

from __future__ import annotations

from dataclasses import dataclass

from hierdoc.diagnosis import thresholds as at
from hierdoc.diagnosis.findings import percent


@dataclass(frozen=True)
class Entry:
    """One code's page.

    Attributes:
        looks_at: what is compared with what.
        limit: from where on it is found, and from where on it is a cause and no note.
        mend: what to do, in a line or two.
    """

    looks_at: str
    limit: str
    mend: str


_SURE = f"p < {at.SIGNIFICANT:g}"
_ANY = "any; it is an identity"

CATALOGUE: dict[str, Entry] = {
    "labels-out-of-range": Entry(
        "label ids against the number of outputs C",
        _ANY + " (in a run, -1 stands for a class that train never saw)",
        "Number the classes 0 … C - 1: labels 1 … C need `label - 1`. Outside them a GPU gives NaN, a CPU an error.",
    ),
    "one-class-only": Entry(
        "the distinct labels of the training examples",
        "all are the same",
        "Print a batch's labels beside the table's: one value was written into all of them.",
    ),
    "held-out-one-class": Entry(
        "the distinct labels of the held-out examples",
        f"all are the same, which training's frequencies give with {_SURE}",
        "Look at how dev was cut: the end of a sorted table, or a label that stands for a missing one.",
    ),
    "held-out-lacks-classes": Entry(
        "the distinct labels of the held-out examples against training's",
        f"{percent(at.LACKING)} of training's examples are of other classes, and its frequencies make that unlikely ({_SURE})",
        "Look at how dev was cut: the first or last rows of a sorted table hold some classes only.",
    ),
    "vectors-not-finite": Entry(
        "NaN and infinite numbers in the vectors",
        _ANY,
        "Find the first step that made them: an overflow in float16, a division by 0, an encoder whose loss was NaN.",
    ),
    "vectors-constant": Entry(
        "the spread of the vectors, and how many are one and the same",
        f"spread below {at.CONSTANT_SPREAD:g} of their size, or more than {percent(at.SAME_VECTOR_SHARE)} the same; a note "
        f"where {percent(at.AS_MANY)} as many chunks are equal and their documents hold others",
        "Look at which tensor is taken as the vector, and whether the encoder sees different texts.",
    ),
    "stages-out-of-date": Entry(
        "the fingerprints of the stages that each stage of a run was made from",
        "any; a cause where embed or a head is out of date",
        "Make the stages named again, in their order, with --overwrite.",
    ),
    "vectors-never-made": Entry(
        "hashes of the vectors used against those noted when they were made",
        f"{percent(at.ANY_FOREIGN)} of them are others; a note where they only were scaled or rounded since "
        f"(distances correlate above {at.SAME_BUT_CHANGED})",
        "Use the array that was filled, not an older one under a like name; make train's and dev's with one encoder.",
    ),
    "vectors-of-other-documents": Entry(
        "the document that each vector was made for against the one it is used for, by hashes",
        f"{percent(at.ANY_FOREIGN)} of the vectors",
        "Let every vector carry its doc_id, and group by that; an index kept beside a table goes wrong when either is sorted.",
    ),
    "documents-merged": Entry(
        "distinct ids against the number of documents; two different chunks with one number in a document",
        f"a cause from {percent(at.MERGED)} of the documents on",
        "Give each document an id of its own: after concatenating tables the index repeats; reset it first.",
    ),
    "several-labels": Entry(
        "the labels of one document's examples",
        f"a cause from {percent(at.SOME_DOCUMENTS)} of the documents on",
        "Shuffle texts and labels with one permutation; take a chunk's label from its document by id.",
    ),
    "labels-changed": Entry(
        "the document model's labels against those noted with the vectors and in the chunk model, by document",
        f"a cause from {percent(at.SOME_DOCUMENTS)} of the documents on, unless one renaming explains "
        f"{percent(at.CONSISTENT)} of them",
        "Look labels up by doc_id, never by position in another table.",
    ),
    "held-out-label-order": Entry(
        "held-out labels against those noted, or against predictions (of a linear classifier, then the models'), under one renaming",
        f"a renaming found on one half of the documents gains on the other ({_SURE}) and leads to "
        f"{percent(at.RENAMED_RIGHT)} of what the vectors give",
        "Make the table of classes once, from train, and use it for dev and test too.",
    ),
    "held-out-labels-shifted": Entry(
        "held-out labels against the answers at other places of the held-out table",
        f"one shift of all labels, their order turned round, or a shift by one from a document on, gains ({_SURE}, times all that "
        f"are tried) and leads to {percent(at.RENAMED_RIGHT)} of what the vectors give",
        "Look for a header line taken for a row, a row that one of two tables lost, a sort that only one of them saw.",
    ),
    "labels-shuffled": Entry(
        "the chunk model's classes for the vectors learned from, or a linear classifier on them, against the labels learned",
        f"{percent(at.PAIRING_GAP)} below the chunk model's held-out accuracy, or no better than guessing ({_SURE}), while "
        "a document's chunks agree",
        "Print ten documents with their labels just before training, and follow back to where they last were right.",
    ),
    "grouping-lost": Entry(
        "the same, where a document's chunks do not agree with each other either",
        f"as above; agreement less than {percent(at.PAIRING_HALF)} of the way from chance, or a z below {at.SURE_Z:g}",
        "Vectors and their documents were put together in another order: carry doc_id and chunk_index with each vector.",
    ),
    "held-out-labels-shuffled": Entry(
        "a linear classifier on the held-out vectors and labels, where training's are sound",
        f"no better than guessing, and surely ({_SURE}) less than half as good as the chunk model",
        "Follow dev's labels back as train's: the two are usually made by two copies of the same code.",
    ),
    "same-input-several-labels": Entry(
        "equal inputs with different labels",
        f"no model could be right on more than {percent(at.SAME_INPUT_BOUND)} of the training documents, which have all their "
        f"chunks; {percent(at.SAME_CHUNK_BOUND)} of the chunks where their documents are not known",
        "Look at the inputs that are equal: an empty text, a header, a row that was repeated, labels that were shuffled.",
    ),
    "classes-without-examples": Entry(
        "outputs that no training example has",
        f"a cause where more than {percent(at.UNSEEN_SHARE)} of the held-out documents, and three, are of them",
        "Split by class (stratified) after shuffling; a split of a table sorted by class leaves classes out.",
    ),
    "accuracy-misread": Entry(
        "the held-out accuracy that was shown after the last epoch against that of the held-out answers",
        f"surely ({_SURE}) and by {at.SHOWN_APART:g} apart; a cause where it is how often class 0 is answered, "
        f"or {percent(at.FAR_FROM_SHOWN)} above the answers, or in no epoch nearer than that below them; else a note",
        "Name the metric: sparse_categorical_accuracy for label ids, categorical_accuracy for one-hot rows, not `acc`.",
    ),
    "sorted-by-label": Entry(
        "how often examples of a batch and the next have one label, against labels dealt anew to documents of like length",
        f"{percent(at.SORTED)} of the way to always, and {at.SURE_Z:g} standard deviations",
        "Shuffle the examples anew in each epoch; Keras does not shuffle what a generator yields.",
    ),
    "documents-never-seen": Entry(
        "the documents in any step against all that there are",
        f"a cause above {percent(at.NEVER_SEEN)} of them, unless they are drawn with replacement and chance leaves as many",
        "steps_per_epoch must be ceil(documents / batch size); let the generator go on where it was.",
    ),
    "weights-not-loaded": Entry(
        "weights loaded against expected; where not noted, whether all layer normalisations began constant",
        "fewer than expected; 0 expected says that a random start is meant",
        "Load after the model is built, and compare names: what loads nothing raises nothing in some libraries.",
    ),
    "weights-did-not-move": Entry(
        "the change of each trained array",
        f"none in more than {percent(at.STILL_SHARE)} of the numbers; or no array to train",
        "Look at trainable flags set after compile, at an optimizer of other variables, at dead units and zero gradients.",
    ),
    "weights-vanished": Entry(
        "the norm of the weights after training against before",
        f"below {percent(at.VANISHED)}",
        "Weaken the weight decay or the penalty; count it once if both loss and optimizer have it.",
    ),
    "held-out-vectors-foreign": Entry(
        "held-out vectors against training's: nearest neighbours, lengths, and the chunk model's classes for both",
        f"the chunk model names documents worse than at fine-tuning ({_SURE}), or {percent(at.PAIRING_GAP)} worse and by few "
        f"classes, or gives {percent(at.MANY_OTHER_ANSWERS)} of the same chunks other classes (a note from "
        f"{percent(at.OTHER_ANSWERS)} on, and where an earlier epoch was as good); "
        f"or {percent(at.LONELY_REGION)} of training's vectors lie where held-out ones are {1 / at.LONELY:g} times as rare, and are "
        f"named worse than those; if it was not asked, {percent(at.SEPARATE)} lie nearest to their own side, or "
        f"{percent(at.OUTSIDE)} are {at.OTHER_LENGTH:g} times as long or short",
        "Make both with the same encoder, weights, precision and scaling, after fine-tuning has ended.",
    ),
    "vectors-out-of-scale": Entry(
        "the middle length of the vectors",
        f"above {at.HUGE_NORM:g} or below {at.TINY_NORM:g}",
        "Take the vector after the last layer normalisation, or scale all vectors alike before the head.",
    ),
    "chunks-out-of-order": Entry(
        "the numbers of a document's chunks in the order used",
        f"a cause from {percent(at.OUT_OF_ORDER)} of the documents of several chunks on",
        "Sort by doc_id and chunk_index as numbers, not as words (10 comes after 9).",
    ),
    "chunks-left-out": Entry(
        "the chunks made of a document against those used, over all its examples",
        f"a cause from {percent(at.LEFT_OUT)} of the chunks on",
        "Compare lengths before zip, which ends with the shorter; say aloud what a limit on chunks drops.",
    ),
    "chunks-repeated": Entry(
        "one vector several times in a document that was made once; one for all of a document's chunks when they were made",
        f"a cause from {percent(at.LEFT_OUT)} of the documents on",
        "Look at the loop that collects a document's vectors: it adds the same one again; at the window, whether it moves.",
    ),
    "chunks-dropped": Entry(
        "the chunks that --max-chunks dropped in a run",
        f"a cause above {percent(at.DROPPED)}",
        "Raise --max-chunks, or leave it away; --chunks-per-document makes long documents affordable without it.",
    ),
    "examples-empty": Entry(
        "examples without any token or chunk",
        f"a cause above {percent(at.EMPTY_SHARE)}",
        "Look at the texts of these documents, and at what the padding value takes for padding.",
    ),
    "tokens-unknown": Entry(
        "the share of [UNK] in a run",
        f"above {percent(at.UNKNOWN_SHARE)}",
        "Use an encoder whose vocabulary is of the language of the texts, and its own lower-casing.",
    ),
    "no-probabilities": Entry(
        "whether held-out answers add up to 1",
        "more than half do not; a note where they are logits that the loss fits",
        "End in softmax with from_logits=False, or in nothing with from_logits=True; a sigmoid is for several labels.",
    ),
    "softmax-twice": Entry(
        "the bound that a softmax of a softmax sets to answers and to the loss",
        f"{percent(at.AT_THE_BOUND)} of the answers at the bound and none beyond, or a flat loss above its floor beside sure answers",
        "Apply softmax once: either in the last layer, or in the loss with from_logits=True.",
    ),
    "padding-attended": Entry(
        "probabilities of the same example with more padding; if not probed, padded token ids without a mask",
        f"a difference above {at.PROBED:g}",
        "Give the model a mask (bert-for-tf2's mask_zero is False by default) and read no padded step.",
    ),
    "company-matters": Entry(
        "probabilities of the same example alone and in a batch",
        f"the same, and {at.OVER_REPEAT:g} times what padding and asking again give",
        "Look for normalisation over the batch, a softmax over the wrong axis, or state kept between batches.",
    ),
    "answers-by-chance": Entry(
        "probabilities of the same example asked twice",
        "the same",
        "Predict with training=False: dropout is still on.",
    ),
    "leak": Entry(
        "ids and hashes of held-out documents against training's",
        f"{at.FEWEST_LEAKED} documents equal by id and content, or of one id and label; copies under other ids: surely ({_SURE}) "
        f"more than {percent(at.LEAKED)}",
        "Split by document before anything is cut into chunks, and keep copies on one side.",
    ),
    "near-duplicates": Entry(
        "near-duplicates across the splits of a run",
        f"a cause above {percent(at.NEAR_COPIES)} of the held-out documents",
        "Let `chunk` make the split, which keeps them together, or read the accuracy without them in evaluate.",
    ),
    "loss-not-finite": Entry(
        "losses, weights and answers that are no numbers",
        _ANY,
        "Lower the learning rate; then look for a logarithm of 0, an empty mask, labels outside the outputs.",
    ),
    "learning-rate-too-large": Entry(
        "where the loss ends, and how far the weights moved",
        f"{at.JUMPED:g} times the first loss and ln C; or {at.MOVED_FAR:g} times their norm with nothing learned "
        f"({at.MOVED_FAR_LOADED:g} for an encoder that was loaded, {at.MOVED_FAR_DEEP:g} if it has {at.DEEP} arrays), or "
        f"{at.MOVED_TOO_FAR:g} times in any case",
        "Divide the learning rate by 10 until the loss falls from its first steps: 2e-5 for BERT, 1e-3 for a head.",
    ),
    "learning-rate-too-small": Entry(
        f"how far the weights moved in {at.FEWEST_STEPS} steps and more, and whether the loss fell",
        f"below {percent(at.HARDLY_MOVED)} of their norm where the loss began; or slowly ({at.SLOW_HEAD:g} a step) while a linear "
        f"classifier is surely better; or half of the steps below {percent(at.SPENT)} of the largest rate",
        "Multiply the learning rate by 10, look at the schedule, or train longer: 2e-5 for BERT, 1e-3 for a head, by Adam.",
    ),
    "majority-answered": Entry(
        "unequal classes, one answer only, and vectors that tell the classes",
        f"{percent(at.CONSTANT_ANSWER)} of the answers, a class {at.IMBALANCE:g} times as frequent as 1/C",
        "Weigh the classes (finetune --class-weight balanced), and read macro F1 beside accuracy.",
    ),
    "too-few-documents": Entry(
        "training documents of a class",
        f"a cause where the middle class has fewer than {at.FEWEST_PER_CLASS}, or fewer than {at.FEW_PER_CLASS} and the model "
        f"is surely no good; a note where any class has fewer than {at.FEWEST_PER_CLASS}",
        "Label more documents of these classes, join classes, or leave them out.",
    ),
    "only-memorised": Entry(
        "a training loss near 0 beside guesses on held-out data",
        f"loss below {percent(at.MEMORISED)} of the labels' entropy; a symptom where no good chunk model says that more was possible",
        "Stop earlier and shrink the head; make training's vectors by an encoder that has not seen their chunks.",
    ),
    "answers-astray": Entry(
        "held-out answers of a model that learned, against a linear classifier on the same vectors, and against what was shown",
        f"the model guesses, and is surely ({_SURE}) less than half as good",
        "Predict with the trained model, in the order of the labels; compare one document's answer by hand.",
    ),
    "loss-of-another-kind": Entry(
        "where the document model's loss begins, against ln C, the crossentropy of a fresh softmax",
        f"{at.OTHER_LOSS:g} times as much or as little; a cause where the model is as `unexplained` says, else a note",
        "Train with sparse_categorical_crossentropy on label ids, averaged over the batch; look at sample and class weights.",
    ),
    "unexplained": Entry(
        "a document model at chance, or far below its chunks or, with a loss that did not fall, its vectors; where no other check speaks",
        f"surely ({_SURE}) below, after {at.FEWEST_STEPS} steps and more, with a loss that is not still falling",
        "Look at the part that is named; the reasons say why it must be there.",
    ),
    "at-chance": Entry(
        "held-out accuracy against guessing: uniform, and training's most frequent class; of any number of labels the micro-F1 that evaluate has "
        "measured, against the most frequent labels for every document",
        f"guessing gives as much with p > {at.AT_CHANCE:g}; a micro-F1 less than {percent(at.LABELS_AT_CHANCE)} of the way from guessing to 1",
        "See the causes; without any, the classes may be too hard for these texts, or the documents too few.",
    ),
    "below-chunks": Entry(
        "the document model's accuracy against the chunk model's",
        f"{percent(at.FAR_BELOW_CHUNKS)} below, surely ({_SURE})",
        "See the causes; the average of the chunks' probabilities is a better answer meanwhile.",
    ),
    "constant-answers": Entry(
        "the classes that are answered",
        f"one class for {percent(at.CONSTANT_ANSWER)}",
        "See the causes.",
    ),
    "loss-did-not-fall": Entry(
        "the last losses against the entropy of the labels",
        f"above {percent(at.NOT_LEARNED)} of it after {at.FEWEST_STEPS} steps and more",
        "See the causes.",
    ),
    "never-shuffled": Entry(
        "the order of the first two epochs",
        "the same, and not by label",
        "Shuffle in each epoch; it costs nothing.",
    ),
    "in-sample-vectors": Entry(
        "the chunk model's accuracy on the chunks it learned against held-out ones",
        f"{percent(at.IN_SAMPLE)} apart, surely ({_SURE})",
        "Fewer epochs for the encoder; or make each document's vectors by an encoder that has not learned it (in folds).",
    ),
    "few-steps": Entry(
        "the number of steps of a training",
        f"fewer than {at.FEWEST_STEPS}",
        "Train longer before you judge: with so few steps no learning rate comes far.",
    ),
}
