"""What BERT knows of texts: hidden characters beside counts, and labels by its vectors beside TF-IDF.

`python -m benchmarks.encoders --book shakespeare.txt --minutes 8 --threads 2`
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.documentation import LABEL, documentation
from synth import Synthesizer
from synth.codecs.corpus import GAP
from synth.console import stage
from synth.evaluation.ngrams import NGrams
from synth.sources import read_table
from synth.storage import write_json, write_text
from synth.text_tools import embed, infill
from synth.texts import TEXT, cut

UNSEEN, PASSAGE, HIDDEN, ORDER = 0.1, 500, 0.15, 5
LABELS, DRAWS, TEST = (5, 10, 50), 5, 2000


def main(
    book: Annotated[Path, typer.Option(help="A text file")],
    out: Annotated[Path, typer.Option(help="Folder for encoders.json and encoders.md")] = Path("build/encoders"),
    minutes: Annotated[float, typer.Option(help="Bound on each training")] = 8.0,
    threads: Annotated[int, typer.Option(help="Processor threads")] = 2,
    seed: int = 0,
) -> None:
    """Hide characters of a book's unseen tenth; tell whose documentation a sentence is from few labels."""
    found: dict[str, Any] = {"hidden": hidden(book, minutes, threads, seed), "minutes": minutes}
    typer.echo(str(found["hidden"]))
    found["labels"] = labels(minutes, threads, seed)
    write_json(out / "encoders.json", found)
    write_text(out / "encoders.md", markdown(found))
    typer.echo(markdown(found))


def hidden(book: Path, minutes: float, threads: int, seed: int) -> dict[str, float]:
    """Share of hidden characters that are told right: by BERT, which sees no hidden one, and by counts, which see all
    characters before each."""
    text = read_table(book, text=10**9).column(TEXT)[0].as_py()
    place = round((1 - UNSEEN) * len(text))
    train, unseen = (cut(part, str(book), PASSAGE).column(TEXT).to_pylist() for part in (text[:place], text[place:]))
    size: dict[str, Any] = {"width": 128, "layers": 4, "page": 128, "epochs": 1000}
    model = Synthesizer(
        "bert",
        seed=seed,
        max_minutes=minutes,
        threads=threads,
        tokens="characters",
        dropout=0,
        **size,
        temperature=0.01,
    )
    model.fit(pa.table({TEXT: train}))
    rng = np.random.default_rng(seed)
    masks = [rng.random(len(part)) < HIDDEN for part in unseen]
    gaps = [
        "".join(GAP if gone else letter for letter, gone in zip(part, mask, strict=True))
        for part, mask in zip(unseen, masks, strict=True)
    ]
    filled = infill(model, pa.table({TEXT: gaps}), seed=seed).column(TEXT).to_pylist()
    told = NGrams.fit(train, ORDER).likeliest(unseen)
    pairs = {"bert": filled, f"counts of {ORDER} characters": told}
    return {name: round(_right(unseen, made, masks), 4) for name, made in pairs.items()}


def _right(real: list[str], made: list[str], masks: list[np.ndarray]) -> float:
    hits = [
        np.array([a == b for a, b in zip(one, other, strict=True)])[mask] if len(one) == len(other) else mask[mask] < 0
        for one, other, mask in zip(real, made, masks, strict=True)
    ]
    return float(np.concatenate(hits).mean())


def labels(minutes: float, threads: int, seed: int) -> dict[str, Any]:
    """Accuracy of logistic regressions of few labels a class on unseen sentences, mean and deviation over draws."""
    table = documentation(seed=seed)
    texts, owners = table.column(TEXT).to_pylist(), np.array(table.column(LABEL).to_pylist())
    model = Synthesizer(
        "bert", seed=seed, max_minutes=minutes, threads=threads, width=192, layers=3, page=128, epochs=1000
    )
    model.fit(pa.table({TEXT: texts}))  # no label is told
    vectors = embed(model, pa.table({TEXT: texts}))
    rng = np.random.default_rng(seed)
    test = rng.choice(len(texts), TEST, replace=False)
    rest = np.setdiff1d(np.arange(len(texts)), test)
    found: dict[str, Any] = {"classes": len(set(owners)), "sentences": len(texts)}
    for count in LABELS:
        rows: dict[str, list[float]] = {"bert": [], "tf-idf": []}
        for _ in range(DRAWS):
            known = np.concatenate([rng.choice(rest[owners[rest] == owner], count, False) for owner in set(owners)])
            words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit([texts[i] for i in rest])
            sides = {"bert": (vectors[known], vectors[test])}
            inputs = [words.transform([texts[i] for i in part]) for part in (known, test)]
            sides["tf-idf"] = (inputs[0], inputs[1])
            for name, (first, second) in sides.items():
                scaler = StandardScaler(with_mean=name == "bert")
                steps = [scaler] if name == "bert" else []
                classifier = make_pipeline(*steps, LogisticRegression(max_iter=2000, C=0.1 if name == "bert" else 10.0))
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    classifier.fit(first, owners[known])
                rows[name].append(float(classifier.score(second, owners[test])))
        found[str(count)] = {
            name: [round(float(np.mean(v)), 4), round(float(np.std(v, ddof=1)), 4)] for name, v in rows.items()
        }
    return found


def markdown(found: dict[str, Any]) -> str:
    """Tables of the figures."""
    lines = ["| hidden characters told right | share |", "|---|--:|"]
    lines += [f"| {name} | {share:.4f} |" for name, share in found["hidden"].items()]
    labels = found["labels"]
    lines += ["", f"| labels a class, of {labels['classes']} | bert | tf-idf |", "|---|--:|--:|"]
    for count in map(str, LABELS):
        row = {name: f"{mean:.4f} ± {spread:.4f}" for name, (mean, spread) in labels[count].items()}
        lines.append(f"| {count} | {row['bert']} | {row['tf-idf']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    stage(main)
