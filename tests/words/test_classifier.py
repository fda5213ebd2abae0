"""The linear SVM on words: scikit-learn's scores, kept without pickle, and joined with a head's probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from hierdoc.words.classifier import ABSENT, FILE, WordClassifier, fit_words, load_words, save_words, with_shares

WORDS = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis"]


def made_up(num: int, num_classes: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Texts of nine words, of which three are more frequent in each class."""
    rng = np.random.default_rng(seed)
    label_ids = rng.integers(0, num_classes, num)
    shares = np.full((num_classes, len(WORDS)), 1.0)
    for label in range(num_classes):
        shares[label, 3 * label : 3 * label + 3] = 3
    shares /= shares.sum(axis=1, keepdims=True)
    return [" ".join(rng.choice(WORDS, 12, p=shares[label])) for label in label_ids], label_ids


@pytest.mark.parametrize("num_classes", [2, 3])
def test_scores_are_scikit_learns_with_the_c_that_is_best_on_dev(num_classes: int):
    (texts, label_ids), (dev, dev_ids) = made_up(60, num_classes, 0), made_up(40, num_classes, 1)
    words = fit_words(texts, label_ids, dev, dev_ids, num_classes)
    best = None
    for penalty in (0.1, 0.3, 1.0, 3.0, 10.0):
        terms = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
        model = make_pipeline(terms, LinearSVC(C=penalty, random_state=0)).fit(texts, label_ids)
        if best is None or model.score(dev, dev_ids) > best.score(dev, dev_ids):
            best = model
    wanted = best.decision_function(dev)
    wanted = np.stack([-wanted, wanted], axis=1) if num_classes == 2 else wanted
    np.testing.assert_allclose(words.scores(dev), wanted, rtol=0, atol=1e-4)  # its features are float64, ours float32
    assert (words.scores(dev).argmax(axis=1) == best.predict(dev)).all() and best.score(dev, dev_ids) > 0.6
    np.testing.assert_array_equal(words.scores(dev[7:8])[0], words.scores(dev)[7])


def test_what_is_saved_is_loaded_with_the_same_bits(tmp_path: Path):
    (texts, label_ids), (dev, dev_ids) = made_up(60, 3, 0), made_up(40, 3, 1)
    words = fit_words(texts, label_ids, dev, dev_ids, 3)
    words = with_shares(words, np.full((40, 3), 1 / 3, np.float32), words.scores(dev), dev_ids)
    save_words(tmp_path, words)
    again = load_words(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert again.terms == words.terms and (again.head_share, again.words_share) == (words.head_share, words.words_share)
    probs = np.random.default_rng(0).dirichlet(np.ones(3), 40).astype(np.float32)
    np.testing.assert_array_equal(again.join(probs, again.scores(dev)), words.join(probs, words.scores(dev)))


def test_joined_probabilities_are_the_softmax_of_both_by_their_shares():
    words = WordClassifier(
        ["ant", "bee"], np.float32([1, 1]), np.float32([[1, -1], [-2, 3]]), np.float32([0.5, 0]), 0.7, 2
    )
    found = words.join(np.float32([[0.8, 0.2], [0.8, 0.2]]), words.scores(["ant ant", "cat"]))
    for row, scores in zip(found, ([1.5, -1], [0.5, 0])):
        raised = np.exp(0.7 * np.log([0.8, 0.2]) + 2 * np.array(scores))
        np.testing.assert_allclose(row, raised / raised.sum(), rtol=0, atol=1e-6)
    assert found.dtype == np.float32


def test_the_one_that_knows_nothing_gets_no_share():
    (texts, label_ids), (dev, dev_ids) = made_up(60, 3, 0), made_up(200, 3, 1)
    words = fit_words(texts, label_ids, dev, dev_ids, 3)
    rng = np.random.default_rng(0)
    noise = rng.dirichlet(np.ones(3), 200).astype(np.float32)
    scores = words.scores(dev)
    by_words = with_shares(words, noise, scores, dev_ids)
    agree = by_words.join(noise, scores).argmax(axis=1) == scores.argmax(axis=1)
    assert agree.mean() > 0.9
    sure = np.full((200, 3), 0.01, np.float32)
    sure[np.arange(200), dev_ids] = 0.98
    by_head = with_shares(words, sure, scores, dev_ids)
    assert (by_head.join(sure, scores).argmax(axis=1) == dev_ids).all()
    mixed = np.float32(0.5) * sure + np.float32(0.5) * noise
    both = with_shares(words, mixed, scores, dev_ids).join(mixed, scores).argmax(axis=1)
    assert (both == dev_ids).mean() >= max((mixed.argmax(axis=1) == dev_ids).mean(), (words.scores(dev).argmax(axis=1) == dev_ids).mean())  # fmt: skip


def test_a_dev_that_is_answered_without_a_mistake_makes_nobody_sure_beyond_reason():
    (texts, label_ids), (dev, dev_ids) = made_up(60, 3, 0), made_up(10, 3, 1)
    words = fit_words(texts, label_ids, dev, dev_ids, 3)
    sure = np.full((10, 3), 0.1, np.float32)
    sure[np.arange(10), dev_ids] = 0.8
    found = with_shares(words, sure, np.eye(3)[dev_ids], dev_ids)
    assert 1 < found.head_share < 10 and 1 < found.words_share < 10


def test_a_class_that_train_does_not_have_is_last_and_an_unseen_one_of_dev_is_left_out():
    (texts, label_ids), (dev, _) = made_up(60, 2, 0), made_up(6, 2, 1)
    dev_ids = np.array([0, 1, 0, 1, -1, -1])
    words = fit_words(texts, label_ids * 2, dev, dev_ids * 2, 3)
    assert (words.scores(dev)[:, 1] == np.float32(ABSENT)).all()
    assert np.isfinite(with_shares(words, np.full((6, 3), 1 / 3, np.float32), words.scores(dev), dev_ids).words_share)


@pytest.mark.parametrize("texts", [["", "1 2", "!"], ["", "", ""]])
def test_texts_without_a_word_say_nothing(texts: list[str], tmp_path: Path):
    words = fit_words(texts, np.array([0, 1, 0]), texts, np.array([0, 1, 0]), 2)
    assert words.terms == [] and not words.scores(texts).any()
    save_words(tmp_path, words)
    np.testing.assert_allclose(
        load_words(tmp_path).join(np.float32([[0.9, 0.1]]), words.scores(["new words"])), [[0.9, 0.1]], atol=1e-6
    )


def test_train_documents_of_one_class_name_that_class():
    words = fit_words(["ant bee", "bee cat"], np.array([1, 1]), ["ant"], np.array([1]), 3)
    assert words.scores(["anything", "ant"]).argmax(axis=1).tolist() == [1, 1]


def test_labels_get_an_svm_each_with_one_c_for_all():
    texts, label_ids = made_up(80, 3, 0)
    dev, dev_ids = made_up(40, 3, 1)
    truth, dev_truth = (
        np.eye(4, dtype=bool)[ids] | (np.eye(4, dtype=bool)[0] & (ids == 2)[:, None]) for ids in (label_ids, dev_ids)
    )
    words = fit_words(texts, truth, dev, dev_truth, 4)
    best, best_f1 = None, -1.0
    terms = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, dtype=np.float32)
    features = terms.fit_transform(texts)
    for penalty in (0.1, 0.3, 1.0, 3.0, 10.0):
        models = [LinearSVC(C=penalty, random_state=0).fit(features, truth[:, at]) for at in range(3)]
        scores = np.stack([model.decision_function(terms.transform(dev)) for model in models], axis=1)
        f1 = max(f1_score(dev_truth[:, :3], scores >= at, average="micro") for at in np.unique(scores))
        if f1 > best_f1 + 1e-12:
            best, best_f1 = scores, f1
    found = words.scores(dev)
    np.testing.assert_allclose(found[:, :3], best, atol=1e-4)
    assert (found[:, 3] == ABSENT).all()  # which no training document has


def test_a_label_is_joined_by_its_odds(tmp_path: Path):
    words = WordClassifier(
        [], np.zeros(0, np.float32), np.zeros((0, 2), np.float32), np.zeros(2, np.float32), 2.0, 0.5, True
    )
    save_words(tmp_path, words)
    found = load_words(tmp_path).join(np.float32([[0.8, 0.1]]), np.array([[1.0, -3.0]]))
    odds = np.array([4.0, 1 / 9]) ** 2 * np.exp([0.5, -1.5])
    np.testing.assert_allclose(found, [odds / (1 + odds)], rtol=1e-6)


def test_a_head_that_says_one_is_as_sure_as_float32_tells_and_no_more():
    nothing = np.zeros((0, 1), np.float32)
    words = WordClassifier([], np.zeros(0, np.float32), nothing, np.zeros(1, np.float32), 0.7, 2.0, True)
    logits = np.array([[14.0], [16.0], [18.0]])
    found = words.join((1 / (1 + np.exp(-logits))).astype(np.float32), np.full((3, 1), -5.0))
    exact = 1 / (1 + np.exp(-(0.7 * logits - 10)))
    np.testing.assert_allclose(found, np.minimum(exact, found[2]), atol=0.03)
    assert exact[1] < found[2] < exact[2]


def test_shares_of_labels_make_dev_most_likely():
    rng = np.random.default_rng(0)
    truth = rng.random((200, 3)) < 0.3
    noise, sure = rng.random((200, 3)).astype(np.float32), np.where(truth, 2.0, -2.0) + rng.normal(size=(200, 3)) * 2
    words = WordClassifier(
        [], np.zeros(0, np.float32), np.zeros((0, 3), np.float32), np.zeros(3, np.float32), multi_label=True
    )
    by_words = with_shares(words, noise, sure, truth)
    assert by_words.words_share > 0.5 and by_words.head_share < 0.3
    by_head = with_shares(words, (1 / (1 + np.exp(-sure))).astype(np.float32), rng.normal(size=(200, 3)), truth)
    assert by_head.head_share > 0.5 and by_head.words_share < 0.3


def test_words_are_scikit_learns_and_chinese_characters_are_words_by_themselves():
    from hierdoc.words.terms import make_vectorizer

    texts = ["An iPhone 5s, a_b; naïve x9 Ünïcode -- don't 12", "한국어 문장 ok", ""]
    ours, theirs = (vectorizer.build_tokenizer() for vectorizer in (make_vectorizer(), TfidfVectorizer()))
    for text in texts:
        assert ours(text) == theirs(text)
    assert ours("iPhone手机5G版 a中") == ["iPhone", "手", "机", "5G", "版", "中"]
    assert make_vectorizer().build_analyzer()("股市") == ["股", "市", "股 市"]
    assert ours("二〇二四年の人々") == [*"二〇二四年の人々"] and ours("𠮷野家") == [*"𠮷野家"]
    assert ours("ｶﾀｶﾅ") == [*"ｶﾀｶﾅ"] and ours("データ・ベース") == [*"データベース"]


def test_a_classifier_of_before_keeps_the_words_it_learned(tmp_path: Path):
    import json

    import pyarrow.parquet as pq

    words = WordClassifier(
        ["中国", "中"], np.ones(2, np.float32), np.float32([[1, 0], [0, 1]]), np.zeros(2, np.float32)
    )
    save_words(tmp_path, words)
    assert load_words(tmp_path).scores(["中国"]).tolist() == [[0, 1]]
    table = pq.read_table(tmp_path / FILE)
    about = json.loads(table.schema.metadata[b"words"])
    del about["tokens"]
    pq.write_table(table.replace_schema_metadata({"words": json.dumps(about)}), tmp_path / FILE)
    assert load_words(tmp_path).scores(["中国"]).tolist() == [[1, 0]]
