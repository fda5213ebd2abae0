"""A report's pages hold every figure, escape what they are given, and stand alone."""

from __future__ import annotations

import dataclasses
import html as html_text
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "comparison"))

from results_by_hand import experiment_of, predictions, selection, three_arms

from hierdoc.comparison.config import Arm
from hierdoc.comparison.results import read_results, write_result
from hierdoc.comparison.summary import summarise
from hierdoc.evaluation.calibration import reliability
from hierdoc.evaluation.significance import Interval, bootstrap_mean
from hierdoc.reporting import figures
from hierdoc.reporting.comparing import differences, overview
from hierdoc.reporting.contents import report_sections
from hierdoc.reporting.pages import html, markdown
from hierdoc.reporting.sections import Section, Table

EVIL = "<script>alert('x')</script> & | `*_[x]"


def sections_of(folder: Path, texts: dict | None = None) -> list[Section]:
    results = three_arms(folder)
    summaries = summarise(experiment_of(folder), results, selection())
    return report_sections(summaries, texts or {})


def table_with(sections: list[Section], heading: str, first: str) -> Table:
    """The table of the section of that heading whose header begins with `first`."""
    (found,) = [table for section in sections if section.heading == heading for table in section.tables if table.header[0].startswith(first)]  # fmt: skip
    return found


def row(table: Table, name: str) -> dict:
    (found,) = [cells for cells in table.rows if cells[0] == name]
    assert len(found) == len(table.header)
    return dict(zip(table.header, found, strict=True))


def test_the_overview_has_means_spreads_differences_tests_and_calibration(tmp_path: Path):
    (overview,) = [section for section in sections_of(tmp_path) if section.heading == "letters"]
    table = overview.tables[0]
    lstm, svm = row(table, "lstm"), row(table, "svm")
    # 5/6 and 4/6: mean 0.75, deviation sqrt(2) / 12; the differences are 0, 0.5, 1, 0, 0, 1
    assert lstm["accuracy"] == "0.750 ± 0.118 (2)"
    interval = bootstrap_mean(np.array([0, 0.5, 1, 0, 0, 1]))
    assert lstm["difference"] == f"+0.417 [{interval.low:+.3f}, {interval.high:+.3f}]"
    assert lstm["McNemar p"] == "0.250 (3:0), 0.500 (2:0)" and lstm["on dev"] == "0.800"
    # every answer has 0.8: the errors are 5/6 - 0.8 and 0.8 - 4/6
    assert lstm["calibration error"] == f"{np.mean([5 / 6 - 0.8, 0.8 - 4 / 6]):.3f}"
    assert svm["difference"] == svm["McNemar p"] == svm["calibration error"] == svm["log loss"] == ""


def test_near_duplicates_late_arms_and_the_selection_are_told(tmp_path: Path):
    sections = sections_of(tmp_path)
    (overview,) = [section for section in sections if section.heading == "letters"]
    assert "Dev prefers lstm; that was written down before this experiment read test." in overview.paragraphs
    assert "Added or changed after test was read: svm." in overview.paragraphs
    without = row(overview.tables[1], "lstm")
    assert without["accuracy without 1 near-duplicates of training documents"] == "0.700 ± 0.141 (2)"  # 4/5 and 3/5
    assert without["difference"].startswith("+0.500 [")  # of 0.5, 1, 0, 0, 1
    assert "Not there yet: average, seed 1; svm, seed 1." in overview.paragraphs
    assert any("2 arms are compared with svm and nothing is corrected" in text for text in overview.paragraphs)
    folds = table_with(sections, "letters: by fold", "accuracy")
    assert folds.rows[:2] == [["documents", 3, 3], ["lstm", pytest.approx(5 / 6), pytest.approx(4 / 6)]]


def test_a_selection_that_comes_after_test_is_told(tmp_path: Path):
    results, experiment = three_arms(tmp_path), experiment_of(tmp_path)
    (summary,) = summarise(experiment, results, selection(test_was_read=True))
    assert "Dev prefers lstm; but test had been read when that was written down." in overview(summary).paragraphs
    (summary,) = summarise(experiment, results, {})
    assert any("is not known: the best figure" in text for text in overview(summary).paragraphs)


def test_own_code_is_told(tmp_path: Path):
    sections = sections_of(tmp_path)
    assert not any("own code" in text for section in sections for text in section.paragraphs)
    (tmp_path / "mine.py").write_text("# answers")
    experiment = experiment_of(tmp_path)
    experiment = dataclasses.replace(experiment, arms=[*experiment.arms[:2], Arm("svm", "mine.py")])
    path = tmp_path / "results/letters.svm.seed-0.json"
    facts = json.loads(path.read_text())
    facts["configuration"] = experiment.configuration(experiment.datasets[0], experiment.arms[2])
    path.write_text(json.dumps(facts))
    summaries = summarise(experiment, read_results(tmp_path), {})
    assert "Answered by own code of the experiment's folder: svm (mine.py)." in overview(summaries[0]).paragraphs


def test_costs_say_where_stages_had_some_of_the_cores(tmp_path: Path):
    three_arms(tmp_path)
    path = tmp_path / "results/letters.lstm.seed-0.json"
    facts = json.loads(path.read_text())
    for num_cores, said in [(None, False), (2, False), (1, True)]:  # of a machine's 2
        facts["parts"][1]["timings"]["embed"] |= {} if num_cores is None else {"num_cores": num_cores}
        path.write_text(json.dumps(facts))
        summaries = summarise(experiment_of(tmp_path), read_results(tmp_path), selection())
        (costs,) = [one for one in report_sections(summaries, {}) if one.heading == "letters: costs"]
        assert ("; some stages had 1 of the cores to themselves" in costs.notes[0]) == said


def test_length_classes_coverage_mistakes_and_costs_are_by_hand(tmp_path: Path):
    sections = sections_of(tmp_path)
    bins = table_with(sections, "letters: by length", "chunks")
    assert row(bins, "documents") == {"chunks": "documents", "1": 2, "2-3": 1, "4-7": 2, "16+": 1}
    assert list(row(bins, "lstm").values())[1:] == [0.5, 0.5, 1.0, 1.0]
    long = table_with(sections, "letters: by length", "long documents only (4 chunks or more: 3)")
    assert row(long, "svm")["accuracy"] == "0.333 (1)" and row(long, "lstm")["difference"].startswith("+0.667 [")
    classes = table_with(sections, "letters: classes", "class")
    # class b of the lstm: seed 0 says b for d2 and d3 (F1 0.8), seed 1 for d1, d2, d3 (F1 4/6)
    assert row(classes, "b") == {
        "class": "b",
        "documents": 3,
        "F1 of lstm": pytest.approx((0.8 + 4 / 6) / 2),
        "F1 of svm": pytest.approx(1 / 3),
    }
    coverage = table_with(sections, "letters: coverage", "class")
    assert list(row(coverage, "a").values()) == ["a", 7, 1000, "90.0%", 100, "0.50%"]
    assert list(row(coverage, "all").values()) == ["all", 13, 1500, "93.3%", 100, "0.33%"]
    mistakes = table_with(sections, "letters: most confident mistakes", "document")
    assert [cells[:3] for cells in mistakes.rows] == [["d4", "b", "c"]]
    costs = row(table_with(sections, "letters: costs", "arm"), "lstm")
    assert costs["encoding, chunks/s"] == "50.0" and costs["peak memory, GiB"] == "2.0"
    assert costs["encoding, CPU-seconds per 1,000 documents"] == "2000"  # 26 s for 13 documents
    # 540 s and 60 s; of the 10 s of test's evaluation 7 were for what stands beside
    assert costs["training, minutes"] == "10.0" and costs["fitting and answering, seconds"] == "3.0"
    assert costs["training, encoding and answering, CPU-minutes"] == "16.5"  # 900 s, 61 s, 26 s and 3 s


def test_code_that_no_commit_holds_is_marked(tmp_path: Path):
    results = three_arms(tmp_path)
    write_result(results[0].path, {**results[0].facts, "dirty": True}, results[0].predictions)
    summaries = summarise(experiment_of(tmp_path), read_results(tmp_path), {})
    (provenance,) = [section for section in report_sections(summaries, {}) if section.heading.endswith("provenance")]
    assert provenance.paragraphs[0] == "Not from committed code: letters.average.seed-0.json."


def test_texts_are_shown_when_they_are_given_and_only_then(tmp_path: Path):
    texts = {"letters": {(1, "d4"): f"{EVIL} {'word ' * 200}"}}
    with_text = html("x", "q", sections_of(tmp_path, texts))
    assert "<script" not in with_text and "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in with_text
    (mistakes,) = [s for s in sections_of(tmp_path, texts) if s.heading.endswith("mistakes")]
    assert mistakes.tables[0].header[-1] == "text" and len(mistakes.tables[0].rows[0][-1]) == 300
    assert "word word" not in html("x", "q", sections_of(tmp_path))


def test_labels_and_ids_are_escaped_in_both_pages(tmp_path: Path):
    table = predictions(
        [EVIL] * 6, true_label=[EVIL, "b", "c", "d", "e", "f"], doc_id=[f"{EVIL}{at}" for at in range(6)]
    )
    results = three_arms(tmp_path)
    for result in results:
        write_result(result.path, result.facts, table)
    summaries = summarise(experiment_of(tmp_path), read_results(tmp_path), selection())
    sections = report_sections(summaries, {})
    page = html(EVIL, EVIL, sections)
    assert "<script" not in page and page.count(html_text.escape(EVIL, quote=False)[:20]) > 5
    text = markdown(EVIL, EVIL, sections)
    assert "<script" not in text.replace("\\<", "") and "\\|" in text
    columns = {len(row.header) for section in sections for row in section.tables}
    for line in text.splitlines():
        if line.startswith("|"):
            bars = len(re.findall(r"(?<!\\)\|", line))
            assert bars - 1 in columns


def test_the_page_needs_nothing_else(tmp_path: Path):
    page = html("x", "q", sections_of(tmp_path))
    for found in re.findall(r"(?:src|href)=[\"']([^\"']*)", page):
        assert found.startswith("#"), found
    assert "@import" not in page and "url(http" not in page and "<script" not in page
    anchors = re.findall(r'href="#(s\d+)"', page)
    assert anchors and all(f'id="{anchor}"' in page for anchor in anchors)
    assert 'name="viewport"' in page


def test_the_same_results_make_the_same_page(tmp_path: Path):
    assert html("x", "q", sections_of(tmp_path)) == html("x", "q", sections_of(tmp_path))


def test_every_figure_is_xml_that_grows_with_the_page():
    interval = bootstrap_mean(np.array([0.0, 1.0, 1.0]))
    history = [{"epoch": 1, "train_loss": 1.0, "dev_loss": 2.0, "dev_accuracy": 0.5}]
    found = {
        "forest": figures.forest({"a & <b>": (interval, True), "c": (interval, False)}, "base", "c"),
        "lines": figures.lines_by_bin(["1", "2-3"], [5, 6], {"a & <b>": [interval, interval]}),
        "confusion": figures.confusion(["a & <b>", "c"], np.array([[3, 1], [0, 2]])),
        "curves": figures.curves({"a & <b>": [history, history]}),
        "reliability": figures.reliability_diagram(
            {"a & <b>": reliability(np.array([0.4, 0.9]), np.array([True, False]))}
        ),
    }
    for name, svg in found.items():
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg") and "viewBox" in root.attrib and "width" not in root.attrib, name
        assert any("a & <b>" in (node.text or "") for node in root.iter()), name
    assert "3" in {node.text for node in ElementTree.fromstring(found["confusion"]).iter()}


def recorded(monkeypatch: pytest.MonkeyPatch, name: str) -> list[tuple]:
    """What a figure's function is asked to draw."""
    asked: list[tuple] = []
    monkeypatch.setattr(figures, name, lambda *arguments: asked.append(arguments) or "<svg/>")
    return asked


def test_figures_are_given_all_seeds_and_each_bins_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    names = ("confusion", "lines_by_bin", "reliability_diagram")
    matrix, lines, diagram = (recorded(monkeypatch, name) for name in names)
    sections_of(tmp_path)
    # truth aabbbc; the seeds say aabbcc and abbbcc
    assert matrix[0][0] == ["a", "b", "c"] and matrix[0][1].tolist() == [[3, 1, 0], [0, 4, 2], [0, 0, 2]]
    assert lines[0][1] == [2, 1, 2, 1]
    of_svm = lines[0][2]["svm"][0]  # one of its two documents of one chunk is right
    assert of_svm.estimate == 0.5 and of_svm.high - of_svm.low == pytest.approx(0.81, abs=0.01)
    (found,) = [reliability for title, reliability in diagram[0][0].items() if title.startswith("lstm: error ")]
    assert found.counts.sum() == 12 and found.accuracy[found.counts > 0].tolist() == [9 / 12]
    assert not any(title.startswith("svm") for title in diagram[0][0])


def test_trainings_are_drawn_once_and_named_by_the_arms_that_share_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = recorded(monkeypatch, "curves")
    for path in [result.path for result in three_arms(tmp_path)]:
        facts = json.loads(path.read_text())
        epochs = [{"epoch": at, "train_loss": 1.0, "dev_chunk_loss": 2.0, "dev_chunk_accuracy": 0.5} for at in (1, 2)]
        for number, part in enumerate(facts["parts"]):
            part["history"]["finetune"] = epochs
            # the average shares the encoders of the LSTM's seed 0; the SVM here has one of its own
            part["fingerprints"]["finetune"] = f"{facts['arm'] == 'svm'}{facts['seed']}{number}"
        path.write_text(json.dumps(facts))
    report_sections(summarise(experiment_of(tmp_path), read_results(tmp_path), selection()), {})
    ((histories,),) = asked
    assert {name: len(runs) for name, runs in histories.items()} == {
        "finetune of lstm and 1 more": 2, "finetune of lstm": 2, "heads/lstm of lstm": 2, "finetune of svm": 2,
    }  # fmt: skip


def axes_of(monkeypatch: pytest.MonkeyPatch, draw, *arguments) -> list:
    monkeypatch.setattr(figures, "_svg", lambda figure: figure)
    return draw(*arguments).axes


def test_a_difference_is_coloured_where_it_is_clear_and_stands_beside_its_name(monkeypatch: pytest.MonkeyPatch):
    rows = {
        "up": (Interval(0.2, 0.1, 0.3), True),
        "none": (Interval(0.1, -0.1, 0.3), False),
        "few": (Interval(0.05, 0.01, 0.1), False),
        "down": (Interval(-0.2, -0.3, -0.1), True),
    }
    (axes,) = axes_of(monkeypatch, figures.forest, rows, "base", "up")
    names = [label.get_text() for label in axes.get_yticklabels()]
    found = {names[int(line.get_ydata()[0])]: (line.get_color(), list(line.get_xdata())) for line in axes.lines[1::2]}
    assert found == {
        "up *": (figures.COLOURS[2], [0.1, 0.3]), "none": (figures.QUIET, [-0.1, 0.3]),
        "few": (figures.QUIET, [0.01, 0.1]), "down": (figures.BAD, [-0.3, -0.1]),
    }  # fmt: skip


def test_learning_curves_show_what_they_say(monkeypatch: pytest.MonkeyPatch):
    epochs = [{"train_loss": 3.0 - at, "dev_loss": 1.1 - at, "dev_accuracy": 0.5 + at / 10} for at in range(2)]
    loss, accuracy = axes_of(monkeypatch, figures.curves, {"lstm": [epochs]})
    drawn = {line.get_label(): list(line.get_ydata()) for axes in (loss, accuracy) for line in axes.lines}
    named = {name: values for name, values in drawn.items() if not name.startswith("_")}
    assert named == {
        "train loss": [3.0, 2.0], "dev loss": pytest.approx([1.1, 0.1]), "dev accuracy": pytest.approx([0.5, 0.6]),
    }  # fmt: skip


def test_labels_are_text_and_stay_apart_in_figures():
    labels = ["loans $1k to $5k", r"$\frac$", "x" * 39, "x" * 28 + "y", "x" * 29]
    svg = figures.confusion(labels, np.eye(5, dtype=int))
    texts = [node.text for node in ElementTree.fromstring(svg).iter() if node.text]
    assert "loans $1k to $5k" in texts and r"$\frac$" in texts
    long = "x" * 27 + "…"
    assert {long, f"{long} (2)", f"{long} (3)"} <= {*texts}


def test_labels_that_the_figures_font_lacks_are_drawn_without_a_warning(recwarn: pytest.WarningsRecorder):
    svg = figures.confusion(["财经", "体育"], np.eye(2, dtype=int))
    assert "财经" in [node.text for node in ElementTree.fromstring(svg).iter()]
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


def test_mistakes_are_the_surest_first_and_the_star_is_devs(tmp_path: Path):
    results, wrong = three_arms(tmp_path), ["b", "a", "c", "b", "b", "c"]
    table = predictions(wrong, probability=[0.6, 0.8, 0.9, 0.8, 0.8, 0.8])
    write_result(results[1].path, results[1].facts, table)
    sections = report_sections(summarise(experiment_of(tmp_path), read_results(tmp_path), selection()), {})
    mistakes = table_with(sections, "letters: most confident mistakes", "document")
    assert [cells[0] for cells in mistakes.rows] == ["d2", "d0"]
    headline = table_with(sections, "All data sets", "accuracy on test")
    stars = {cells[0]: cells[1].endswith(" *") for cells in headline.rows}
    assert stars == {"lstm": True, "average": False, "svm": False}


def test_an_arm_of_words_is_not_said_to_read_chunks_or_to_be_sure(tmp_path: Path):
    results = three_arms(tmp_path)
    facts = results[-1].facts
    for part in facts["parts"]:
        del part["fingerprints"]["embed"]
    write_result(results[-1].path, facts, results[-1].predictions)
    chosen = selection(chosen="svm")
    sections = report_sections(summarise(experiment_of(tmp_path), read_results(tmp_path), chosen), {})
    said = {section.heading: " ".join(section.paragraphs) for section in sections}
    assert "svm reads the whole texts" in said["letters: coverage"]
    assert "which has no probabilities to sort them by" in said["letters: most confident mistakes"]


def test_an_arm_that_is_far_off_is_told_and_not_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = recorded(monkeypatch, "forest")
    experiment, results = experiment_of(tmp_path, baseline="lstm"), three_arms(tmp_path)
    right, wrong = list("aabbbc") * 10, list("bbaaaa") * 10
    for result, answers in zip(results, (right, right, right, wrong), strict=True):
        tables = [predictions(answers[:6], doc_id=[f"{at}-{number}" for number in range(6)]) for at in range(10)]
        write_result(result.path, result.facts, pa.concat_tables(tables))
    (summary,) = summarise(experiment, read_results(tmp_path), {})
    caption = differences(summary).caption
    assert list(asked[0][0]) == ["average"] and "Too far off to be drawn: svm -1.000 [-1.000, -1.000]." in caption
