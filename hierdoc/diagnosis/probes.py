"""What vectors say by themselves: a simple classifier on them, whether a document's belong together, whether two sets are alike."""

from __future__ import annotations

import numpy as np

from hierdoc.diagnosis.statistics import shares, standing

FOLDS = 5
SHRINKAGE = 0.1  # of the mean variance, added to each: the classifier then also works with few documents
MOST_VECTORS = 20_000  # are looked at for a document's coherence; drawn, so that no corpus is too large
REGIONS = 8  # in which vectors are counted: more than two kinds of them need, and each large enough to count in
MOST_TO_COMPARE = 1_000  # on each side where every vector is compared with every other


def document_means(values: np.ndarray, owners: np.ndarray, num: int) -> np.ndarray:
    """Return the mean vector of each document, float64 (num, K); NaN for one without vectors.

    Args:
        values: (P, K).
        owners: int (P,), which document each vector is of.
        num: of documents.
    """
    sums = np.zeros((num, values.shape[1]))
    np.add.at(sums, owners, values.astype(np.float64))
    counts = np.bincount(owners, minlength=num)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums / counts


def classify(train: np.ndarray, label_ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the classes that linear discriminant analysis gives to `wanted`, int64 (M,).

    Args:
        train: float (B, K).
        label_ids: int (B,).
        wanted: float (M, K).
    """
    classes, of_class = np.unique(label_ids, return_inverse=True)
    means = np.stack([train[of_class == at].mean(axis=0) for at in range(len(classes))])
    inside = train - means[of_class]
    spread = inside.T @ inside / max(1, len(train) - len(classes))
    spread += (SHRINKAGE * np.trace(spread) / len(spread) + 1e-12) * np.eye(len(spread))
    directions = np.linalg.solve(spread, means.T)  # (K, C)
    scores = wanted @ directions - 0.5 * np.sum(means.T * directions, axis=0) + np.log(shares(of_class))
    return classes[scores.argmax(axis=1)]


def cross_classify(features: np.ndarray, label_ids: np.ndarray) -> np.ndarray:
    """Return each document's class as `classify` gives it after learning from the documents of the other folds, int64 (B,)."""
    fold = np.random.default_rng(0).permutation(len(features)) % FOLDS
    predicted = np.full(len(features), -1, np.int64)
    for held_out in range(FOLDS):
        inside = fold != held_out
        if inside.any() and not inside.all():
            predicted[~inside] = classify(features[inside], label_ids[inside], features[~inside])
    return predicted


def coherence(values: np.ndarray, owners: np.ndarray) -> tuple[float, float]:
    """Return (the share of the variance that the documents explain, how many standard deviations it is above chance).

    Chance is the same vectors dealt anew to documents of the same sizes.

    Args:
        values: (P, K), finite.
        owners: int (P,).
    """
    if len(values) > MOST_VECTORS:
        kept = np.sort(np.random.default_rng(0).choice(len(values), MOST_VECTORS, replace=False))
        values, owners = values[kept], owners[kept]
    _, owners = np.unique(owners, return_inverse=True)
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    total = float(np.sum(centred**2))
    if total <= 0:
        return 0.0, 0.0
    num = int(owners.max()) + 1
    counts = np.bincount(owners, minlength=num)[:, None]

    def explained(places: np.ndarray) -> float:
        sums = np.zeros((num, centred.shape[1]))
        np.add.at(sums, owners, centred[places])
        return float(np.sum(sums**2 / counts)) / total

    observed = explained(np.arange(len(centred)))
    expected, z = standing(observed, lambda rng: explained(rng.permutation(len(centred))))
    return observed - expected, z


def own_side(one: np.ndarray, other: np.ndarray) -> tuple[float, int]:
    """Return (the share of vectors whose nearest neighbour is on their own side, how many were asked on each).

    Both sides are cut to the same size, so that half is what alike sets give; of the two shares the lower one.

    Args:
        one, other: (M, K) and (N, K), finite, a vector for each document.
    """
    rng = np.random.default_rng(0)
    size = min(len(one), len(other), MOST_TO_COMPARE)
    sides = [side[rng.choice(len(side), size, replace=False)] for side in (one, other)]
    values = np.concatenate(sides).astype(np.float64)
    squares = np.sum(values**2, axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * values @ values.T
    np.fill_diagonal(distances, np.inf)
    own = (distances.argmin(axis=1) < size) == (np.arange(2 * size) < size)
    return float(min(own[:size].mean(), own[size:].mean())), size


def lonely_region(one: np.ndarray, other: np.ndarray, rarer: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which vectors of each side, bool (M,) and (N,), lie where `other` is rarer than `one` by a factor `rarer`.

    The places are the regions of k-means on both.

    Args:
        one, other: (M, K) and (N, K), finite.
        rarer: below 1.
    """
    from sklearn.cluster import KMeans

    rng = np.random.default_rng(0)
    drawn = [side[rng.permutation(len(side))[:MOST_VECTORS]] for side in (one, other)]
    both = np.concatenate(drawn).astype(np.float64)
    regions = KMeans(min(REGIONS, len(np.unique(both, axis=0))), n_init=4, random_state=0).fit(both)
    places = [regions.predict(side.astype(np.float64)) for side in (one, other)]
    held = [np.bincount(place, minlength=regions.n_clusters) / len(place) for place in places]
    lonely = held[1] <= rarer * held[0]
    return lonely[places[0]], lonely[places[1]]
