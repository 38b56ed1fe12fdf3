"""Tables: their numbers, and three formats that parse."""

import re
from collections import defaultdict

import numpy as np
import pytest
from scores_factory import TASKS, make_scores

from skeegformer.evaluation import (
    compare_pipelines,
    scores_table,
    summarize_scores,
)


def cells(markdown):
    """Read the tables of a Markdown text as lists of dictionaries."""
    tables, head = [], None
    for line in markdown.splitlines():
        if not line.startswith("|"):
            head = None
            continue
        row = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if head is None:
            head = row
            tables.append([])
        elif not set(line) <= set("|-: "):
            tables[-1].append(dict(zip(head, row, strict=True)))
    return tables


def parse(rst):
    """Let docutils read a text; return the nodes of each kind."""
    core = pytest.importorskip("docutils.core")
    found = defaultdict(list)
    for node in core.publish_doctree(rst, settings_overrides={"report_level": 5}).findall():
        found[type(node).__name__].append(node)
    return found


def test_numbers_are_those_of_the_scores():
    scores = make_scores(4, 12, seeds=(0, 1))
    table, subjects = cells(scores_table(scores))
    means = scores.groupby(["pipeline", "subject"])["balanced_accuracy"].mean().unstack()
    compared = compare_pipelines(scores, "CSP+LDA").set_index("pipeline")
    best = means.mean(axis=1).idxmax()
    for row, of_subjects in zip(table, subjects, strict=True):
        name = row["pipeline"]
        values = means.loc[name]
        number = f"{values.mean():.3f}"
        assert row["mean"] == (f"**{number}**" if name == best else number)
        assert row["SD"] == f"{values.std():.3f}"
        assert (row["worst"], row["best"]) == (f"{values.min():.2f}", f"{values.max():.2f}")
        rows = scores[scores["pipeline"] == name]
        assert float(row["fit s"]) == pytest.approx(rows["fit_seconds"].mean(), abs=0.05)
        assert row["ROC AUC"] == f"{rows.groupby('subject')['roc_auc'].mean().mean():.3f}"
        assert row["Brier"] == f"{rows.groupby('subject')['brier_score'].mean().mean():.3f}"
        assert [of_subjects[f"S{k}"] for k in range(1, 13)] == [f"{v:.2f}" for v in values]
        if name == "CSP+LDA":
            assert (row["against CSP+LDA"], row["p (Holm)"]) == ("–", "–")
        else:
            found = compared.loc[name]
            difference = "{difference:+.3f} [{low:.3f}, {high:.3f}]".format(**found)
            assert row["against CSP+LDA"] == difference
            p_value = "< 0.001" if found["p_holm"] < 0.001 else f"{found['p_holm']:.3f}"
            assert row["p (Holm)"] == p_value


def test_tasks_and_kinds_of_information_have_tables_of_their_own():
    scores = make_scores(3, 6, TASKS[:2], kinds=("strict", "transductive"), seeds=(0, 5))
    text = scores_table(scores)
    assert len(cells(text)) == 8
    for task in TASKS[:2]:
        for kind in ("strict", "transductive"):
            assert f"`{task}`, leave-one-subject-out, {kind}\n" in text
    assert text.count("nothing of the test subjects") == 2
    assert text.count("unlabelled epochs of the test\nsubjects") == 2
    assert text.count("over 6 subjects (S1-S6)") == 4
    assert text.count("Seeds 0, 5 averaged within subjects (tangent space+LR)") == 4
    assert text.count("skeegformer 0.1.0") == 1
    assert len(cells(scores_table(scores, by_subject=False))) == 4


def test_bare_scores_need_no_other_columns():
    scores = make_scores(2, 4)[["pipeline", "subject", "balanced_accuracy"]]
    table, _ = cells(scores_table(scores))
    assert list(table[0])[:5] == ["pipeline", "mean", "SD", "worst", "best"]
    assert "Brier" not in table[0]
    assert "With 4 subjects no p can be below 0.05" in " ".join(scores_table(scores).split())
    assert "Bold: the best mean" in scores_table(scores)
    assert "against" not in scores_table(scores, reference=None)
    assert "against chance" in scores_table(scores, reference="chance")


@pytest.mark.parametrize("seeds, lacking", [((0,), [3]), ((0, 1), [3, 4])])
def test_whoever_lacks_a_subject_or_a_seed_is_named_and_not_best(seeds, lacking):
    scores = make_scores(4, 8, seeds=seeds)
    is_last = scores["seed"] == seeds[-1]
    gap = (scores["pipeline"] == "MDM") & is_last & scores["subject"].isin(lacking)
    scores = scores[~gap]
    scores.loc[scores["pipeline"] == "MDM", "balanced_accuracy"] = 1.0
    text = scores_table(scores)
    table, subjects = cells(text)
    names = ", ".join(f"S{subject}" for subject in lacking)
    said = f"MDM has no score, or not with each of its seeds, of {names}"
    assert said in " ".join(text.split())
    assert (table[3]["mean"], table[3]["p (Holm)"]) == ("1.000", "–")
    assert (subjects[3]["S3"] == "–") == (len(seeds) == 1)
    assert sum("**" in row["mean"] for row in table) == 1
    # The others are compared all the same.
    others = compare_pipelines(scores[scores["pipeline"] != "MDM"], "CSP+LDA")
    p_value = others.set_index("pipeline").loc["tangent space+LR", "p_holm"]
    assert table[2]["p (Holm)"] == f"{p_value:.3f}"
    with pytest.raises(ValueError, match=f"'MDM' has no balanced accuracy of {names} in baseline"):
        compare_pipelines(scores, "CSP+LDA")


def test_a_fit_is_counted_once_for_all_its_subjects():
    scores = make_scores(2, 4).assign(fold=0)
    scores["fit_seconds"] = np.arange(1.0, 9.0)
    seconds = [row["fit s"] for row in cells(scores_table(scores))[0]]
    assert seconds == ["1.0", "5.0"]
    assert summarize_scores(scores)["fit_seconds"].tolist() == [1.0, 5.0]


def test_less_error_is_best():
    scores = make_scores(3, 6)
    text = scores_table(scores, metric="brier_score")
    table, _ = cells(text)
    means = scores.groupby("pipeline", sort=False)["brier_score"].mean()
    bold = next(row["pipeline"] for row in table if "**" in row["mean"])
    assert bold == means.idxmin()
    assert all(float(row["worst"]) >= float(row["best"]) for row in table)
    assert "Brier" not in table[0]


def test_terminal_lines_are_not_too_long_and_stay_in_columns():
    text = scores_table(make_scores(8, 30), format="text")
    lines = text.splitlines()
    assert max(map(len, lines)) <= 120
    assert sum(line.startswith("EEGNet") for line in lines) == 4  # 30 subjects in three parts
    rows = [line for line in lines if re.match("(chance|CSP|MDM|EEG)", line)][:5]
    assert len({row.index(".", 20) for row in rows}) == 1
    assert "*" not in text


def test_rst_is_understood_by_docutils():
    scores = make_scores(4, 14, TASKS[:2]).replace("MDM", "a*b_ |c| `d`")
    text = scores_table(scores, format="rst")
    found = parse(text)
    assert not found["system_message"]
    assert len(found["table"]) == 6
    assert len(found["strong"]) == 2
    assert [entry.astext() for entry in found["entry"]].count("a*b_ |c| `d`") == 6


def test_names_that_are_text_or_look_like_markup():
    scores = make_scores(2, 3).replace("chance", "a|b *c*").assign(balanced_accuracy=0.5)
    scores["subject"] = scores["subject"].map({1: "ann", 2: "bob", 3: "cleo"})
    scores.loc[scores["subject"] == "bob", "roc_auc"] = np.nan
    text = scores_table(scores)
    assert "3 subjects (ann, bob, cleo)" in text
    table, subjects = cells(text)
    assert list(subjects[0]) == ["pipeline", "ann", "bob", "cleo"]
    assert table[0]["pipeline"] == subjects[0]["pipeline"] == r"a\|b \*c\*"
    assert table[0]["against CSP+LDA"] == "+0.000"  # equal differences have no interval
    csp = scores[scores["pipeline"] == "CSP+LDA"]
    assert table[1]["ROC AUC"] == f"{csp['roc_auc'].mean():.3f}"
    assert "ROC AUC" not in scores_table(scores.assign(roc_auc=np.nan))
