"""What the sentiment networks reach on real texts, beside the published layout and a linear model, and how fast.

Try it:  python -m benchmarks sentiment
All learn from the same 80 % and are scored once on the other 20 %. Layouts and steps were chosen on texts that were
split off the 80 %. The linear model sees the words and pairs of words of the texts as they are.
"""

import json
import subprocess
import sys
import time
from dataclasses import replace

from workshop import datasets, labelled_texts
from workshop.ml import sentiment, sentiment_layouts, sentiment_metrics

TARGETS = {"tweets": 0.75, "isear": 0.60}  # accuracy and macro-F1
MOST_SECONDS = 90  # of a training, on two cores with nothing else to do
SEED = 10
# What is compared to show a step's effect: our steps, then with one changed.
STEPS = {
    "as ours: lower,squeeze": ("lower", "squeeze"),
    "without squeeze": ("lower",),
    "with strip: marks off": ("lower", "squeeze", "strip"),
    "with stop-words": ("lower", "squeeze", "stop-words"),
    "with stem": ("lower", "squeeze", "stem"),
    "all that were published": ("lower", "strip", "stop-words", "lemma", "stem"),
}


def network(name: str, layout_name: str, steps: tuple[str, ...] = ()) -> dict:
    """Train by a layout and score on the held-out texts: accuracy, macro_f1, seconds."""
    found, helps = labelled_texts.find(name), labelled_texts.helps()
    layout = sentiment_layouts.layout(layout_name, len(found.examples))
    if steps:
        layout = replace(layout, cleaning=steps)
    parts = sentiment.parts(found.examples, layout, SEED)
    started, processor = time.monotonic(), time.process_time()
    words = sentiment.words(layout, parts.train, helps.stop_words, helps.lemma)
    history = sentiment.train(layout, words, parts, SEED)
    seconds, processor_seconds = time.monotonic() - started, time.process_time() - processor
    scores = sentiment_metrics.report(
        sentiment.predict(history, words, parts.test.texts), parts.test.labels, parts.test.classes
    )
    return {**scores, "seconds": seconds, "processor_seconds": processor_seconds}


def linear(name: str) -> dict:
    """TF-IDF of words and pairs of words, and logistic regression of the usual strength."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    rest, test = sentiment.held_out(labelled_texts.find(name).examples, SEED)
    started, processor = time.monotonic(), time.process_time()
    weigher = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = LogisticRegression(max_iter=1000).fit(weigher.fit_transform(rest.texts), rest.labels)
    seconds, processor_seconds = time.monotonic() - started, time.process_time() - processor
    scores = sentiment_metrics.report(
        model.predict_proba(weigher.transform(test.texts)), test.labels, test.classes
    )
    return {**scores, "seconds": seconds, "processor_seconds": processor_seconds}


def measure() -> list[dict]:
    """Each training in a process of its own; `against` is what the course promises."""
    rows = []
    for name in datasets.TEXTS:
        if datasets.find(name).is_sample:
            print(f"{name}: the real texts are not here, nothing is measured")
            continue
        for how, call in (
            ("TF-IDF + logistic regression", f"linear({name!r})"),
            ("published layout", f"network({name!r}, 'published')"),
            ("ours", f"network({name!r}, 'ours')"),
        ):
            found = _apart(call)
            for what in ("accuracy", "macro_f1"):
                target = TARGETS[name] if how == "ours" else None
                rows.append(_row(f"{name}, {how}: {what}", found[what], "share", target))
            rows.append(_row(f"{name}, {how}: training", found["seconds"], "s", None))
            limit = MOST_SECONDS if how == "ours" else None
            rows.append(
                _row(f"{name}, {how}: processor time / 2 cores", found["processor_seconds"] / 2, "s", limit)
            )
    if rows and not datasets.find("tweets").is_sample:
        for how, steps in STEPS.items():
            found = _apart(f"network('tweets', 'ours', {steps!r})")
            rows.append(_row(f"tweets, cleaning {how}: accuracy", found["accuracy"], "share", None))
    return rows


def _apart(call: str) -> dict:
    """Evaluate one of the functions above in a fresh process, so that none pays for what another left behind."""
    script = f"import json, benchmarks.sentiment as b; print('RESULT', json.dumps(b.{call}))"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.rpartition("RESULT ")[2])
    print(
        f"{call}: accuracy {found['accuracy']:.4f}, macro-F1 {found['macro_f1']:.4f}, {found['seconds']:.0f} s",
        flush=True,
    )
    return found


def _row(name: str, value: float, unit: str, target: float | None) -> dict:
    better = None if target is None else target / value if unit == "s" else value / target
    return {"name": name, "value": value, "unit": unit, "against": target, "ratio": better}
